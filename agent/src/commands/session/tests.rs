use super::*;
use crate::generated::messages::{Exec, Message, StdinMode};
use crate::protocol::frame::Frame;
use std::os::unix::io::OwnedFd;

#[test]
fn only_a_long_row_of_crumbs_counts() {
    let start = Instant::now();
    let mut crumbs = Crumbs {
        row: 0,
        last: start,
    };
    for _ in 0..Crumbs::ROW {
        assert!(!crumbs.are_many());
        crumbs.note(5, start);
    }
    assert!(crumbs.are_many());
    crumbs.note(5, start + Crumbs::SILENCE);
    assert!(!crumbs.are_many());
    for _ in 0..100 {
        crumbs.note(Crumbs::SIZE, start + Crumbs::SILENCE);
    }
    assert!(!crumbs.are_many());
}

#[test]
fn tokens_carry_stream_and_channel() {
    for channel in [Channel::Stdin, Channel::Stdout, Channel::Stderr] {
        for stream in [1, 255, 256, u32::MAX] {
            assert_eq!(from_token(token(stream, channel)), (stream, channel));
        }
    }
}

const STREAM: u32 = 1;

/// A command that printed to a pipe, whose other end a test holds.
struct Printing {
    session: Session,
    streams: Streams,
    port: Port,
    epoll: Epoll,
    stdout: Option<OwnedFd>,
}

impl Printing {
    fn new() -> Printing {
        let epoll = Epoll::new().unwrap();
        let (ours, theirs) = sys::pipe().unwrap();
        let (stderr, _) = sys::pipe().unwrap();
        for fd in [&ours, &stderr] {
            sys::set_nonblocking(fd).unwrap();
        }
        let channels = Channels::Pipes {
            stdin: None,
            stdout: ours,
            stderr,
        };
        let spawned = Spawned { pid: 77, channels };
        let mut printing = Printing {
            session: Session::new(STREAM, spawned, &epoll).unwrap(),
            streams: Streams::default(),
            port: Port::for_test(),
            epoll,
            stdout: Some(theirs),
        };
        printing.hear(&Message::Exec(Exec {
            argv: Vec::new(),
            env: Vec::new(),
            cwd: String::new(),
            user: String::new(),
            tty: false,
            rows: 0,
            cols: 0,
            stdin: StdinMode::Null,
            rlimits: Vec::new(),
        }));
        // Its stderr ends at once.
        printing.pump(Channel::Stderr);
        printing
    }

    fn hear(&mut self, message: &Message) {
        let mut payload = Vec::new();
        message.encode(&mut payload);
        let (stream, kind) = (STREAM, FrameKind::Control);
        let payload = &payload;
        let frame = Frame {
            stream,
            kind,
            payload,
        };
        self.streams.receive(&frame).unwrap();
    }

    fn print(&self, text: &str) {
        sys::write(self.stdout.as_ref().unwrap(), text.as_bytes()).unwrap();
    }

    fn pump(&mut self, channel: Channel) -> Turn {
        let (streams, port) = (&mut self.streams, &mut self.port);
        self.session
            .pump(channel, streams, port, &self.epoll)
            .unwrap()
    }

    fn end_leader(&mut self) {
        let ending = Ending { code: 3, signal: 0 };
        assert_eq!(self.session.leader_ended(ending, &self.epoll), None);
    }
}

const EXITED: News = News::Exited(ExecExited { code: 3, signal: 0 });

#[test]
fn a_command_ends_with_its_outputs_when_nobody_else_holds_them() {
    let mut command = Printing::new();
    command.print("last");
    command.end_leader();
    command.stdout = None;
    assert_eq!(command.session.news(), News::Nothing);
    assert_eq!(command.pump(Channel::Stdout), Turn::Again);
    assert_eq!(command.session.news(), News::Nothing);
    command.pump(Channel::Stdout);
    assert_eq!(command.session.news(), EXITED);
    assert_eq!(command.session.news(), News::OutputsEnded);
}

#[test]
fn heirs_of_the_outputs_hold_the_end_for_the_grace_only() {
    let mut command = Printing::new();
    command.end_leader();
    assert_eq!(command.session.news(), News::Nothing);
    command.session.end_grace();
    assert_eq!(command.session.news(), EXITED);
    assert_eq!(command.session.news(), News::Nothing);
    // They write on, are read, and at last let go.
    command.print("heir");
    assert_eq!(command.pump(Channel::Stdout), Turn::Again);
    assert_eq!(command.session.news(), News::Nothing);
    command.stdout = None;
    command.pump(Channel::Stdout);
    assert_eq!(command.session.news(), News::OutputsEnded);
}

#[test]
fn what_the_leader_wrote_goes_before_its_end_however_much_heirs_write() {
    let mut command = Printing::new();
    command.print("the leader's");
    command.end_leader();
    command.session.end_grace();
    command.print("an heir's");
    assert_eq!(command.session.news(), News::Nothing);
    command.pump(Channel::Stdout);
    assert_eq!(command.session.news(), EXITED);
}

#[test]
fn the_leaders_output_waits_for_credit_and_its_end_with_it() {
    let mut command = Printing::new();
    for _ in 0..command.streams.credit(STREAM) / PIPE_BYTES {
        command.print(&"x".repeat(PIPE_BYTES));
        assert_eq!(command.pump(Channel::Stdout), Turn::Again);
    }
    command.print("last");
    command.end_leader();
    command.session.end_grace();
    assert_eq!(command.pump(Channel::Stdout), Turn::Rest);
    assert_eq!(command.session.news(), News::Nothing);
    command.hear(&Message::StopSending);
    command.pump(Channel::Stdout);
    assert_eq!(command.session.news(), EXITED);
}

#[test]
fn a_pipe_that_was_full_once_is_wide_from_then_on() {
    let mut command = Printing::new();
    let writer = command.stdout.take().unwrap();
    sys::set_nonblocking(&writer).unwrap();
    let much = vec![0; 2 * WIDE_PIPE_BYTES];
    assert_eq!(
        sys::write(&writer, &much[1..PIPE_BYTES]).unwrap(),
        PIPE_BYTES - 1
    );
    assert_eq!(command.pump(Channel::Stdout), Turn::Again);
    assert_eq!(sys::write(&writer, &much).unwrap(), PIPE_BYTES);
    assert_eq!(command.pump(Channel::Stdout), Turn::Again);
    assert_eq!(sys::write(&writer, &much).unwrap(), WIDE_PIPE_BYTES);
    // Whoever has made his pipe wider himself keeps it.
    sys::widen_pipe(&writer, 4 * WIDE_PIPE_BYTES).unwrap();
    sys::widen_pipe(&writer, WIDE_PIPE_BYTES).unwrap();
    assert_eq!(command.pump(Channel::Stdout), Turn::Again);
    assert_eq!(
        sys::write(&writer, &vec![0; 8 * WIDE_PIPE_BYTES]).unwrap(),
        4 * WIDE_PIPE_BYTES
    );
}
