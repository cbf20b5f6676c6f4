//! A command's standard input: a queue in front of a pipe or a terminal, as long as the stream's credit allows.

use crate::protocol::port::Port;
use crate::protocol::stream::Streams;
use crate::sys::{self, Epoll};
use std::io::ErrorKind;
use std::os::unix::io::OwnedFd;

pub struct Stdin {
    fd: Option<OwnedFd>,
    terminal: bool,
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

    /// Takes bytes from the supervisor.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.fd.is_some() && !self.end_follows {
            self.queue.extend_from_slice(bytes);
        } else {
            self.done += bytes.len();
        }
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
}
