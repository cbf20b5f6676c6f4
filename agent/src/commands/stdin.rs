//! A command's standard input: a queue in front of a pipe or a terminal, as long as the stream's credit allows.

use crate::commands::session::WIDE_PIPE_BYTES;
use crate::protocol::port::Port;
use crate::protocol::stream::Streams;
use crate::sys::{self, Epoll};
use std::io::ErrorKind;
use std::os::unix::io::OwnedFd;

pub struct Stdin {
    fd: Option<OwnedFd>,
    terminal: bool,
    /// A pipe whose size was seen to.
    widened: bool,
    queue: Vec<u8>,
    /// How much of the queue's front has been written.
    written: usize,
    /// Bytes done with, of which the stream has not been told yet.
    done: usize,
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
            widened: false,
            queue: Vec::new(),
            written: 0,
            done: 0,
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

    /// Takes bytes from the supervisor: what the command takes now is written at once, the rest waits for [`Stdin::flush`].
    pub fn receive(&mut self, bytes: &[u8]) {
        let fd = match &self.fd {
            Some(fd) if !self.end_follows => fd,
            _ => {
                self.done += bytes.len();
                return;
            }
        };
        let mut taken = 0;
        if self.queue.is_empty() {
            taken = sys::write(fd, bytes).unwrap_or(0);
            if taken < bytes.len() && !self.widened && !self.terminal {
                self.widened = true;
                // Without it the command is slower, and that is all. What stands in the way of a write is found by `flush`.
                let _ = sys::widen_pipe(fd, WIDE_PIPE_BYTES);
            }
        }
        self.done += taken;
        self.queue.extend_from_slice(&bytes[taken..]);
    }

    /// No more bytes will follow. A terminal has no end that could be closed; there the command ends it.
    pub fn end(&mut self) {
        self.end_follows |= !self.terminal;
    }

    /// Writes what the command takes now, grants credit for it, and closes the pipe behind the last byte.
    pub fn flush(
        &mut self,
        (stream, token): (u32, u64),
        streams: &mut Streams,
        port: &mut Port,
        epoll: &Epoll,
    ) {
        while let Some(fd) = &self.fd {
            let rest = &self.queue[self.written..];
            if rest.is_empty() {
                break;
            }
            match sys::write(fd, rest) {
                Ok(0) => break,
                Ok(count) => {
                    self.written += count;
                    self.done += count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // EPIPE from a pipe, EIO from a terminal: nobody will read this any more.
                Err(_) => {
                    self.done += rest.len();
                    self.written = self.queue.len();
                    self.close(epoll);
                    streams.stop_sending(port, stream);
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
        streams.consume(port, stream, std::mem::take(&mut self.done));
    }

    /// Nobody writes to the command any more; what waits is dropped.
    pub fn close(&mut self, epoll: &Epoll) {
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
    fn bytes_without_a_reader_are_done_with_at_once() {
        let mut stdin = Stdin::pipe(None);
        stdin.receive(&[0; 10]);
        assert_eq!((stdin.done, stdin.queue.len()), (10, 0));
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

    #[test]
    fn a_pipe_that_was_too_small_once_is_wide_from_then_on_and_nothing_is_lost_or_moved() {
        let (reader, writer) = sys::pipe().unwrap();
        sys::set_nonblocking(&writer).unwrap();
        let mut stdin = Stdin::pipe(Some(writer));
        let (mut streams, mut port) = (Streams::default(), Port::for_test());
        let epoll = Epoll::new().unwrap();
        let sent: Vec<u8> = (0..3 * WIDE_PIPE_BYTES / 2)
            .map(|at| (at / 7) as u8)
            .collect();
        for part in sent.chunks(100_000) {
            stdin.receive(part);
            stdin.flush((1, 1), &mut streams, &mut port, &epoll);
        }
        // Not every page is full.
        assert!(sys::unread(&reader).unwrap() > WIDE_PIPE_BYTES / 2);
        let mut received = Vec::new();
        while received.len() < sent.len() {
            sys::read_pieces(&reader, &mut received, 70_000, (0, 70_000)).unwrap();
            stdin.flush((1, 1), &mut streams, &mut port, &epoll);
        }
        assert!(received == sent);
        assert!(stdin.queue.is_empty());
    }
}
