//! A command's standard input: a bounded queue in front of a pipe or a terminal, and the credit that bounds it.

use crate::messages_generated::{Credit, Message};
use crate::port::Port;
use crate::session::INITIAL_CREDIT;
use crate::sys::{self, Epoll};
use std::io::ErrorKind;
use std::os::unix::io::OwnedFd;

/// Bytes; credit is granted in portions of this size, so that small writes do not each cost a message.
const GRANT_BYTES: u32 = INITIAL_CREDIT / 4;

pub struct Stdin {
    fd: Option<OwnedFd>,
    terminal: bool,
    queue: Vec<u8>,
    /// How much of the queue's front has been written.
    written: usize,
    /// Bytes that the supervisor may still send.
    window: u32,
    /// Bytes done with, for which no credit has been granted yet.
    owed: u32,
    end_follows: bool,
    /// In epoll, waiting for the command to read.
    watched: bool,
}

impl Stdin {
    /// Without a descriptor the command reads /dev/null, and what is sent all the same is dropped.
    pub fn pipe(fd: Option<OwnedFd>) -> Stdin {
        Stdin {
            fd,
            terminal: false,
            queue: Vec::new(),
            written: 0,
            window: INITIAL_CREDIT,
            owed: 0,
            end_follows: false,
            watched: false,
        }
    }

    pub fn terminal(fd: OwnedFd) -> Stdin {
        Stdin {
            terminal: true,
            ..Stdin::pipe(Some(fd))
        }
    }

    /// Takes bytes from the supervisor. Returns false when they are more than it was allowed to send.
    pub fn receive(&mut self, bytes: &[u8]) -> bool {
        let count = bytes.len() as u32;
        if count > self.window {
            return false;
        }
        self.window -= count;
        if self.fd.is_some() && !self.end_follows {
            self.queue.extend_from_slice(bytes);
        } else {
            self.owed += count;
        }
        true
    }

    /// No more bytes will follow. A terminal has no end that could be closed; there the command ends it.
    pub fn end(&mut self) {
        self.end_follows |= !self.terminal;
    }

    /// Writes what the command takes now, grants credit for it, and closes the pipe behind the last byte.
    pub fn flush(&mut self, stream: u32, token: u64, port: &mut Port, epoll: &Epoll) {
        while let Some(fd) = &self.fd {
            let rest = &self.queue[self.written..];
            if rest.is_empty() {
                break;
            }
            match sys::write(fd, rest) {
                Ok(0) => break,
                Ok(count) => {
                    self.written += count;
                    self.owed += count as u32;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // EPIPE from a pipe, EIO from a terminal: nobody will read this any more.
                Err(_) => {
                    self.owed += rest.len() as u32;
                    self.written = self.queue.len();
                    self.close(epoll);
                    port.send(stream, &Message::StdinClosed);
                }
            }
        }
        if self.written == self.queue.len() {
            self.queue.clear();
            self.written = 0;
            if self.end_follows {
                self.close(epoll);
            }
        }
        self.watch(token, epoll);
        if self.owed >= GRANT_BYTES {
            self.window += self.owed;
            port.send(stream, &Message::Credit(Credit { bytes: self.owed }));
            self.owed = 0;
        }
    }

    fn close(&mut self, epoll: &Epoll) {
        if let Some(fd) = self.fd.take() {
            if self.watched {
                self.watched = false;
                let _ = epoll.remove(&fd);
            }
        }
    }

    /// Has epoll report room exactly while something waits for it.
    fn watch(&mut self, token: u64, epoll: &Epoll) {
        let fd = match &self.fd {
            Some(fd) => fd,
            None => return,
        };
        let wanted = !self.queue.is_empty();
        if wanted == self.watched {
            return;
        }
        let result = if wanted {
            epoll.add(fd, sys::WRITABLE, token)
        } else {
            epoll.remove(fd)
        };
        match result {
            Ok(()) => self.watched = wanted,
            Err(error) => eprintln!("agent: stdin of a command cannot be watched: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_more_than_the_window() {
        let (_reader, writer) = sys::pipe().unwrap();
        let mut stdin = Stdin::pipe(Some(writer));
        let chunk = vec![0; 65536];
        for _ in 0..4 {
            assert!(stdin.receive(&chunk));
        }
        assert!(!stdin.receive(&[0]));
    }

    #[test]
    fn bytes_without_a_reader_are_owed_at_once() {
        let mut stdin = Stdin::pipe(None);
        assert!(stdin.receive(&[0; 10]));
        assert_eq!((stdin.owed, stdin.queue.len()), (10, 0));
    }

    #[test]
    fn only_a_pipe_can_be_ended() {
        let (_reader, writer) = sys::pipe().unwrap();
        let mut terminal = Stdin::terminal(writer);
        terminal.end();
        assert!(!terminal.end_follows);
        let mut pipe = Stdin::pipe(None);
        pipe.end();
        assert!(pipe.end_follows);
    }
}
