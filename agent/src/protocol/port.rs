//! The byte stream to the supervisor: a virtio-serial port.

use crate::generated::messages::Message;
use crate::protocol::frame::{encode_frame, encode_message, read_frames, FrameDecoder, FrameKind};
use crate::sys::{self, Epoll};
use std::ffi::CString;
use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::io::OwnedFd;
use std::time::{Duration, Instant};

const PORT_NAME: &str = "org.microsandbox.agent";
/// Bytes; while more than this waits for the supervisor, no command's output is read.
const QUEUE_BOUND: usize = 256 << 10;
/// Bytes; the driver hands out one of its own buffers at a time, and they have the size of a page.
const DRIVER_BYTES: usize = 4096;
/// Bytes; the most that one read takes, one buffer after the other.
const READ_BYTES: usize = 16 * DRIVER_BYTES;
/// Bytes; the driver takes no more in one write (`port_fops_write`, `drivers/char/virtio_console.c`), and each is told to the device.
pub const WRITE_BYTES: usize = 32 << 10;
/// How long the device may take to announce its port.
const PORT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a wait for the port or for its host's side looks again: before the first connection the driver reports
/// nothing but a standing hang-up.
const RETRY: Duration = Duration::from_millis(2);

pub struct Port {
    fd: OwnedFd,
    pub decoder: FrameDecoder,
    queue: Vec<u8>,
    /// How much of the queue's front has been written.
    sent: usize,
    waits_for_room: bool,
}

/// What a read from the port found.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// More may be waiting.
    Full,
    Some,
    Nothing,
    /// The host closed its side.
    Closed,
}

impl Port {
    /// Opens the port by its name and waits until the host's side is there.
    pub fn open() -> Result<Port> {
        let fd = sys::open_device(&find_port(PORT_NAME)?)?;
        while sys::poll_one(&fd, sys::READABLE, 0)? & sys::HANG_UP != 0 {
            std::thread::sleep(RETRY);
        }
        Ok(Port::over(fd))
    }

    fn over(fd: OwnedFd) -> Port {
        Port {
            fd,
            decoder: FrameDecoder::default(),
            queue: Vec::new(),
            sent: 0,
            waits_for_room: false,
        }
    }

    /// A port from which a test takes what was sent.
    #[cfg(test)]
    pub fn for_test() -> Port {
        Port::over(sys::open_null().unwrap())
    }

    /// Everything that waits to be written.
    #[cfg(test)]
    pub fn take_queue(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.queue)
    }

    pub fn register(&self, epoll: &Epoll, token: u64) -> Result<()> {
        epoll.add(&self.fd, sys::READABLE, token)
    }

    /// Moves what has arrived, at most [`READ_BYTES`], to the decoder.
    pub fn receive(&mut self) -> Result<Received> {
        match self.decoder.read(&self.fd, READ_BYTES, DRIVER_BYTES) {
            Ok(0) => Ok(Received::Closed),
            Ok(READ_BYTES) => Ok(Received::Full),
            Ok(_) => Ok(Received::Some),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Received::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Queues a message. Control messages are few and small, so they are queued beyond the bound.
    pub fn send(&mut self, stream: u32, message: &Message) {
        if let Err(error) = encode_message(&mut self.queue, stream, message) {
            // Only a text of megabytes could be too long, and the agent makes none.
            eprintln!("agent: cannot send a message on stream {stream}: {error}");
        }
    }

    /// Queues data of a stream.
    pub fn send_data(&mut self, stream: u32, kind: FrameKind, bytes: &[u8]) {
        if let Err(error) = encode_frame(&mut self.queue, stream, kind, bytes) {
            eprintln!("agent: cannot send data on stream {stream}: {error}");
        }
    }

    /// Queues whole frames.
    pub fn send_frames(&mut self, frames: Vec<u8>) {
        match self.is_flushed() {
            // As they are: copying costs more than all else.
            true => {
                self.queue = frames;
                self.sent = 0;
            }
            false => self.queue.extend_from_slice(&frames),
        }
    }

    /// Queues what a descriptor has to read now as data of a stream, at most `most` bytes. Returns how many bytes that was; 0
    /// at the end.
    pub fn forward(
        &mut self,
        stream: u32,
        kind: FrameKind,
        from: &OwnedFd,
        most: usize,
    ) -> Result<usize> {
        read_frames(&mut self.queue, stream, kind, from, most)
    }

    /// Reads what a descriptor has now, at most `most` bytes, and drops it. Returns as [`Port::forward`] does.
    pub fn discard(&mut self, from: &OwnedFd, most: usize) -> Result<usize> {
        let queued = self.queue.len();
        let count = sys::read_pieces(from, &mut self.queue, most, (0, most))?;
        self.queue.truncate(queued);
        Ok(count)
    }

    /// True when more output may be queued.
    pub fn has_room(&self) -> bool {
        self.queue.len() - self.sent < QUEUE_BOUND
    }

    pub fn is_flushed(&self) -> bool {
        self.sent == self.queue.len()
    }

    /// Writes as much as the device takes and asks to be woken for the rest.
    pub fn flush(&mut self, epoll: &Epoll, token: u64) -> Result<()> {
        while !self.is_flushed() {
            match sys::write(&self.fd, &self.queue[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if self.is_flushed() {
            self.queue.clear();
            self.sent = 0;
        } else if self.sent >= QUEUE_BOUND {
            self.queue.drain(..self.sent);
            self.sent = 0;
        }
        let waits = !self.is_flushed();
        if waits != self.waits_for_room {
            let events = if waits {
                sys::READABLE | sys::WRITABLE
            } else {
                sys::READABLE
            };
            epoll.modify(&self.fd, events, token)?;
            self.waits_for_room = waits;
        }
        Ok(())
    }

    /// Writes everything, waiting for room, at most until `deadline`. For the last words before the power goes.
    pub fn flush_until(&mut self, deadline: Instant) -> Result<()> {
        while !self.is_flushed() {
            match sys::write(&self.fd, &self.queue[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    let events = sys::poll_one(&self.fd, sys::WRITABLE, left.as_millis() as i32)?;
                    if events & sys::WRITABLE == 0 {
                        return Err(Error::from(ErrorKind::TimedOut));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits until the supervisor has said something, at most so long. Returns whether it has.
    pub fn wait_for_word(&self, most: Duration) -> Result<bool> {
        Ok(sys::poll_one(&self.fd, sys::READABLE, most.as_millis() as i32)? != 0)
    }
}

/// The device node of the port that bears our name. The driver learns the names from the device a little after it was
/// loaded.
pub fn find_port(wanted: &str) -> Result<CString> {
    let deadline = Instant::now() + PORT_TIMEOUT;
    loop {
        let entries = fs::read_dir("/sys/class/virtio-ports");
        for entry in entries.into_iter().flatten().flatten() {
            let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
            if name.trim_end() == wanted {
                let path = format!("/dev/{}", entry.file_name().to_string_lossy());
                return CString::new(path).map_err(|_| Error::from(ErrorKind::InvalidData));
            }
        }
        if Instant::now() >= deadline {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("no virtio-serial port is named {wanted}"),
            ));
        }
        std::thread::sleep(RETRY);
    }
}
