//! A program that is connected to the socket: what it has said of a line so far, and what it has not read yet.

use crate::sys::{self, Epoll};
use std::io::{ErrorKind, Result};
use std::os::unix::io::OwnedFd;
use std::os::unix::net::UnixStream;

/// Bytes that are read in a turn.
const READ_BYTES: usize = 64 << 10;
/// Bytes of a line: an event's data, its name with every character escaped, and what is around them.
const MOST_LINE: usize = super::request::MOST_DATA + (16 << 10);
/// Bytes that may wait for a program to read them: more than one event, so that the largest one finds its way.
const MOST_UNREAD: usize = 2 << 20;

/// What became of a turn.
#[derive(Debug, PartialEq)]
pub enum Turn {
    /// More may be waiting.
    Again,
    Rest,
    /// It has said its last.
    Ended,
    /// It is of no use any more: it is gone, or said what is no line.
    Over,
}

pub struct Connection {
    fd: OwnedFd,
    pub uid: u32,
    /// What it listens for.
    pub names: Vec<String>,
    input: Vec<u8>,
    /// How much of the input has no end of a line.
    looked_at: usize,
    output: Vec<u8>,
    /// How much of the output's front has been written.
    sent: usize,
    /// Events that it has missed, and was not told of.
    missed: u64,
    /// It has said its last.
    ended: bool,
    /// Waits for its turn.
    pub queued: bool,
    interest: u32,
}

impl Connection {
    /// Adds it to the epoll.
    pub fn new(stream: UnixStream, uid: u32, epoll: &Epoll, token: u64) -> Result<Connection> {
        stream.set_nonblocking(true)?;
        let fd = OwnedFd::from(stream);
        epoll.add(&fd, sys::READABLE, token)?;
        Ok(Connection {
            fd,
            uid,
            names: Vec::new(),
            input: Vec::new(),
            looked_at: 0,
            output: Vec::new(),
            sent: 0,
            missed: 0,
            ended: false,
            queued: false,
            interest: sys::READABLE,
        })
    }

    /// Bytes of what it has begun to say.
    pub fn begun(&self) -> usize {
        self.input.len()
    }

    pub fn unread(&self) -> usize {
        self.output.len() - self.sent
    }

    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Reads what it says, and hands over whole lines. The last one may be without an end.
    pub fn read(&mut self, mut take: impl FnMut(&mut Connection, &[u8])) -> Turn {
        if self.ended {
            return Turn::Rest;
        }
        let most = READ_BYTES;
        let turn = match sys::read_pieces(&self.fd, &mut self.input, most, (0, most)) {
            Ok(0) => {
                self.ended = true;
                Turn::Ended
            }
            Ok(count) if count < most => Turn::Rest,
            Ok(_) => Turn::Again,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Turn::Rest,
            Err(_) => return Turn::Over,
        };
        let mut input = std::mem::take(&mut self.input);
        let mut start = 0;
        let mut from = self.looked_at;
        while let Some(length) = input[from..].iter().position(|byte| *byte == b'\n') {
            let end = from + length;
            take(self, &input[start..end]);
            start = end + 1;
            from = start;
        }
        if self.ended && start < input.len() {
            take(self, &input[start..]);
            start = input.len();
        }
        input.drain(..start);
        if input.is_empty() {
            // One that has said much once need not keep the room for it.
            input = Vec::new();
        }
        self.looked_at = input.len();
        self.input = input;
        match self.input.len() > MOST_LINE {
            true => Turn::Over,
            false => turn,
        }
    }

    /// Gives it a line, with its end. Returns whether there was room for it, of `room` bytes that all programs have left: what there is
    /// none for it misses, which it is told.
    pub fn tell(&mut self, line: &[u8], room: usize) -> bool {
        if self.unread() + line.len() > MOST_UNREAD || line.len() > room {
            self.missed += 1;
            return false;
        }
        self.tell_missed();
        self.output.extend_from_slice(line);
        true
    }

    fn tell_missed(&mut self) {
        if self.missed > 0 {
            let line = format!("{{\"dropped\":{}}}\n", self.missed);
            self.output.extend_from_slice(line.as_bytes());
            self.missed = 0;
        }
    }

    /// Writes as much as it takes. Returns false when it is gone.
    pub fn flush(&mut self) -> bool {
        loop {
            if self.unread() == 0 {
                self.output = Vec::new();
                self.sent = 0;
                if self.missed == 0 {
                    return true;
                }
                self.tell_missed();
            }
            match sys::write(&self.fd, &self.output[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        if self.sent > MOST_UNREAD {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
        true
    }

    /// Whether nobody has it open at the other end.
    pub fn is_left(&self) -> bool {
        sys::poll_one(&self.fd, 0, 0).map_or(true, |events| events & sys::HANG_UP != 0)
    }

    /// Asks to be woken for what there is to do next.
    pub fn arm(&mut self, epoll: &Epoll, token: u64) -> Result<()> {
        let mut interest = 0;
        if !self.ended && !self.queued {
            interest |= sys::READABLE;
        }
        if self.unread() > 0 {
            interest |= sys::WRITABLE;
        }
        if interest != self.interest {
            epoll.modify(&self.fd, interest, token)?;
            self.interest = interest;
        }
        Ok(())
    }
}
