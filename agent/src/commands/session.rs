//! One command, from `Exec` to `OutputsEnded`: its process group, its output under the supervisor's credit, its end.
//!
//! A command ends with its process, the leader. Others may hold its outputs then, such as a server that a script has left in
//! the background. They do not keep the command from ending, and may go on writing: somebody reads until the last one has let go.

use crate::commands::spawn::{Channels, Spawned};
use crate::commands::stdin::Stdin;
use crate::generated::messages::ExecExited;
use crate::protocol::frame::FrameKind;
use crate::protocol::port::Port;
use crate::protocol::stream::Streams;
use crate::sys::{self, Ending, Epoll, EIO};
use std::collections::VecDeque;
use std::io::{ErrorKind, Result};
use std::os::unix::io::OwnedFd;
use std::time::{Duration, Instant};

/// Bytes; the most that one turn takes, so that commands take turns.
const TURN_BYTES: usize = 256 << 10;
/// Bytes; what a pipe holds that nobody has widened (pipe(7)).
const PIPE_BYTES: usize = 64 << 10;
/// Bytes; what the pipe of a command holds that has filled one. Every change between two processes costs an emulated processor
/// its cache of page tables, so that the size of what is passed on each time decides how fast it goes.
pub const WIDE_PIPE_BYTES: usize = TURN_BYTES;
/// How long after the leader's end its outputs may take to end before that is told without it: whoever was only to pass on
/// what the leader wrote, such as a `tee`, still belongs to the command.
pub const GRACE: Duration = Duration::from_millis(200);
/// Bytes; more than a terminal keeps for its reader.
const TERMINAL_BYTES: usize = 64 << 10;

/// Which descriptor of a command an event is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Channel {
    Stdin,
    Stdout,
    Stderr,
}

/// Streams are told apart in epoll's tokens by their number, above the channel's.
pub fn token(stream: u32, channel: Channel) -> u64 {
    u64::from(stream) << 8 | channel as u64
}

pub fn from_token(token: u64) -> (u32, Channel) {
    let channel = match token & 0xff {
        0 => Channel::Stdin,
        1 => Channel::Stdout,
        _ => Channel::Stderr,
    };
    ((token >> 8) as u32, channel)
}

/// What to do with an output after its turn.
#[derive(Debug, PartialEq)]
pub enum Turn {
    /// Give it another one.
    Again,
    /// Nothing, until an event or a credit.
    Rest,
    /// Give it another one in a moment.
    Later,
}

struct Output {
    fd: OwnedFd,
    /// Has bytes, perhaps, and no credit to send them.
    starved: bool,
    crumbs: Crumbs,
    /// A pipe whose size was seen to.
    widened: bool,
    /// Bytes that may be the leader's: it has ended, and they are still to be read.
    leaders: usize,
}

/// Notices a program that writes line by line as fast as it can. Woken for every line, the agent and the program would
/// take turns on the processor and send a frame per line; left alone for a moment, the program gets on and its lines
/// travel together.
struct Crumbs {
    row: u8,
    last: Instant,
}

impl Crumbs {
    /// Bytes; a read of less is a crumb.
    const SIZE: usize = 4096;
    /// Crumbs in a row before anything is delayed: the echo of a key or a short command's output never is.
    const ROW: u8 = 8;
    /// A longer silence ends the row.
    const SILENCE: Duration = Duration::from_millis(10);

    fn note(&mut self, count: usize, now: Instant) {
        let follows = now.saturating_duration_since(self.last) < Crumbs::SILENCE;
        self.last = now;
        self.row = match count < Crumbs::SIZE && follows {
            true => self.row.saturating_add(1),
            false => 0,
        };
    }

    fn are_many(&self) -> bool {
        self.row >= Crumbs::ROW
    }
}

/// What the supervisor has to be told of a session.
#[derive(Debug, PartialEq)]
pub enum News {
    Nothing,
    Exited(ExecExited),
    /// The last of it: the session is over.
    OutputsEnded,
}

pub struct Session {
    stream: u32,
    pid: i32,
    pub stdin: Stdin,
    /// Standard output and standard error; a terminal has only the first.
    outputs: [Option<Output>; 2],
    /// The terminal's other end, held while the command's leader lives.
    slave: Option<OwnedFd>,
    terminal: Option<OwnedFd>,
    ending: Option<Ending>,
    /// The outputs have had their time to end with the leader.
    grace_over: bool,
    /// The supervisor knows of the leader's end.
    told: bool,
    group_gone: bool,
}

impl Session {
    pub fn new(stream: u32, spawned: Spawned, epoll: &Epoll) -> Result<Session> {
        let output = |fd| {
            Some(Output {
                fd,
                starved: false,
                crumbs: Crumbs {
                    row: 0,
                    last: Instant::now(),
                },
                widened: false,
                leaders: 0,
            })
        };
        let (stdin, outputs, slave, terminal) = match spawned.channels {
            Channels::Terminal { master, slave } => {
                // A descriptor of its own, because epoll knows one interest per descriptor.
                let stdin = Stdin::terminal(sys::duplicate(&master)?);
                let terminal = sys::duplicate(&master)?;
                (stdin, [output(master), None], Some(slave), Some(terminal))
            }
            Channels::Pipes {
                stdin,
                stdout,
                stderr,
            } => {
                let outputs = [output(stdout), output(stderr)];
                (Stdin::pipe(stdin), outputs, None, None)
            }
        };
        for (index, output) in outputs.iter().enumerate() {
            if let Some(output) = output {
                let events = sys::READABLE | sys::ONCE;
                epoll.add(&output.fd, events, token(stream, output_channel(index)))?;
            }
        }
        Ok(Session {
            stream,
            pid: spawned.pid,
            stdin,
            outputs,
            slave,
            terminal,
            ending: None,
            grace_over: false,
            told: false,
            group_gone: false,
        })
    }

    /// Gives an output its turn: one read, as far as the credit goes. An output that has nothing is watched again, and one
    /// without credit waits for that.
    pub fn pump(
        &mut self,
        channel: Channel,
        streams: &mut Streams,
        port: &mut Port,
        epoll: &Epoll,
    ) -> Result<Turn> {
        let index = usize::from(channel == Channel::Stderr);
        let output = match &mut self.outputs[index] {
            Some(output) => output,
            None => return Ok(Turn::Rest),
        };
        let wanted = TURN_BYTES.min(streams.credit(self.stream));
        // Without credit even the end has to wait: whether it has come shows only in a read.
        output.starved = wanted == 0;
        if wanted == 0 {
            return Ok(Turn::Rest);
        }
        let kind = match index {
            0 => FrameKind::Data,
            _ => FrameKind::Extra,
        };
        match streams.forward(port, self.stream, kind, (&output.fd, wanted)) {
            Ok(0) => self.outputs[index] = None,
            Ok(count) => {
                if count >= PIPE_BYTES && !output.widened {
                    output.widened = true;
                    // Without it the command is slower, and that is all.
                    let _ = sys::widen_pipe(&output.fd, WIDE_PIPE_BYTES);
                }
                output.crumbs.note(count, Instant::now());
                output.leaders = output.leaders.saturating_sub(count);
                return Ok(Turn::Again);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                output.leaders = 0;
                if output.crumbs.are_many() {
                    return Ok(Turn::Later);
                } else {
                    let events = sys::READABLE | sys::ONCE;
                    epoll.modify(&output.fd, events, token(self.stream, channel))?;
                }
            }
            // EIO is a terminal's way to say that nobody has it open any more. Whatever else a read may fail with is
            // this command's misfortune, not the guest's.
            Err(error) => {
                if sys::errno_of(&error) != EIO {
                    eprintln!("agent: output of stream {} is lost: {error}", self.stream);
                }
                self.outputs[index] = None;
            }
        }
        Ok(Turn::Rest)
    }

    /// The outputs that only waited for credit get their turn.
    pub fn wake_starved(&mut self, turns: &mut VecDeque<(u32, Channel)>) {
        for (index, output) in self.outputs.iter_mut().enumerate() {
            if let Some(output) = output {
                if std::mem::take(&mut output.starved) {
                    turns.push_back((self.stream, output_channel(index)));
                }
            }
        }
    }

    pub fn is_leader(&self, pid: i32) -> bool {
        self.pid == pid && self.ending.is_none()
    }

    /// Takes note of the leader's end, and of what it has left in the outputs. Its input ends with it. Returns the output
    /// that now has to be looked at, a terminal's.
    pub fn leader_ended(&mut self, ending: Ending, epoll: &Epoll) -> Option<Channel> {
        self.ending = Some(ending);
        self.slave = None;
        self.stdin.close(epoll);
        for output in self.outputs.iter_mut().flatten() {
            output.leaders = match &self.terminal {
                None => sys::unread(&output.fd).unwrap_or(0),
                Some(_) => TERMINAL_BYTES,
            };
        }
        self.terminal.as_ref().map(|_| Channel::Stdout)
    }

    /// Whoever holds the outputs after [`GRACE`] keeps the leader's end from nobody.
    pub fn end_grace(&mut self) {
        self.grace_over = true;
    }

    /// What there is to be told now; asked for until there is nothing, or the session is over.
    pub fn news(&mut self) -> News {
        let (code, signal) = match self.ending {
            Some(Ending { code, signal }) => (code, signal),
            None => return News::Nothing,
        };
        let mut open = self.outputs.iter().flatten().peekable();
        let ended = open.peek().is_none();
        let leader_heard = open.all(|output| output.leaders == 0);
        if !self.told && (ended || self.grace_over && leader_heard) {
            self.told = true;
            return News::Exited(ExecExited { code, signal });
        }
        match ended {
            true => News::OutputsEnded,
            false => News::Nothing,
        }
    }

    /// Sends a signal to the whole process group.
    ///
    /// The group bears the leader's pid. That number belongs to the group until its last process is gone, even when the
    /// leader was reaped long ago; so if a *process* has the number again, the group has ended and the number was given
    /// to somebody else.
    pub fn signal(&mut self, signal: u8) {
        if self.ending.is_some() && sys::send_signal(self.pid, 0).is_ok() {
            self.group_gone = true;
        }
        if !self.group_gone {
            // A group whose processes have all ended cannot be signalled, which is no error of anyone's.
            let _ = sys::send_signal(-self.pid, signal.into());
        }
    }

    pub fn resize(&self, rows: u16, cols: u16) {
        if let Some(terminal) = &self.terminal {
            if let Err(error) = sys::resize_terminal(terminal, rows, cols) {
                eprintln!(
                    "agent: cannot resize the terminal of stream {}: {error}",
                    self.stream
                );
            }
        }
    }
}

fn output_channel(index: usize) -> Channel {
    match index {
        0 => Channel::Stdout,
        _ => Channel::Stderr,
    }
}

#[cfg(test)]
mod tests;
