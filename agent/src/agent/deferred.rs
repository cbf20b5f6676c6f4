//! Commands that are asked for while the upper disk is frozen. They start when it is thawed: to start one, names have to be looked up, which
//! waits for whoever wants to make something in the same directory, and the event loop waits for the start.

use crate::generated::messages::{Exec, Message};
use crate::protocol::stream::Event;

/// What has come for a command that waits.
#[derive(Debug, PartialEq)]
pub enum Kept {
    Exec(Exec),
    Message(Message),
    Data(Vec<u8>),
    Ended,
}

/// All of it, in its order. It is bounded by the credit of the streams.
#[derive(Default)]
pub struct Deferred {
    events: Vec<(u32, Kept)>,
}

impl Deferred {
    /// Keeps what is for a command that is to wait, and returns what is not.
    pub fn keep<'a>(&mut self, event: Event<'a>, frozen: bool) -> Event<'a> {
        let (stream, kept) = match event {
            Event::Opened(stream, Message::Exec(exec)) if frozen => (stream, Kept::Exec(exec)),
            Event::Message(stream, message) if self.has(stream) => (stream, Kept::Message(message)),
            Event::Data(stream, _, bytes) if self.has(stream) => {
                (stream, Kept::Data(bytes.to_vec()))
            }
            Event::Ended(stream) if self.has(stream) => (stream, Kept::Ended),
            // It need not start any more.
            Event::Aborted(stream, failure) => {
                self.events.retain(|(other, _)| *other != stream);
                return Event::Aborted(stream, failure);
            }
            other => return other,
        };
        self.events.push((stream, kept));
        Event::Nothing
    }

    fn has(&self, stream: u32) -> bool {
        self.events.iter().any(|(other, _)| *other == stream)
    }

    /// What was kept: it can be done now.
    pub fn take(&mut self) -> Vec<(u32, Kept)> {
        std::mem::take(&mut self.events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::messages::{Failure, Signal, StdinMode};
    use crate::protocol::frame::FrameKind;

    fn exec() -> Exec {
        Exec {
            argv: Vec::new(),
            env: Vec::new(),
            cwd: String::new(),
            user: String::new(),
            tty: false,
            rows: 0,
            cols: 0,
            stdin: StdinMode::Pipe,
            rlimits: Vec::new(),
        }
    }

    #[test]
    fn keeps_what_is_for_commands_that_wait_and_nothing_else() {
        let mut deferred = Deferred::default();
        let opened = |stream| Event::Opened(stream, Message::Exec(exec()));
        let data = |stream| Event::Data(stream, FrameKind::Data, b"a");
        let signal = || Message::Signal(Signal { signal: 9 });
        assert_eq!(deferred.keep(opened(1), false), opened(1));
        assert_eq!(deferred.keep(opened(3), true), Event::Nothing);
        assert_eq!(deferred.keep(opened(5), true), Event::Nothing);
        assert_eq!(deferred.keep(data(1), true), data(1));
        assert_eq!(deferred.keep(data(3), true), Event::Nothing);
        let message = Event::Message(3, signal());
        assert_eq!(deferred.keep(message, true), Event::Nothing);
        assert_eq!(deferred.keep(Event::Ended(3), false), Event::Nothing);
        let failure = Failure {
            code: String::new(),
            message: String::new(),
            hint: String::new(),
            details: String::new(),
        };
        let aborted = || Event::Aborted(5, failure.clone());
        assert_eq!(deferred.keep(aborted(), true), aborted());
        let expected = [
            (3, Kept::Exec(exec())),
            (3, Kept::Data(b"a".to_vec())),
            (3, Kept::Message(signal())),
            (3, Kept::Ended),
        ];
        assert_eq!(deferred.take(), expected);
        assert_eq!(deferred.take(), []);
    }
}
