//! Frames: how both hops cut their byte stream.
//!
//!     u32 length | u32 stream | u8 kind | payload          big-endian; length = 5 + bytes of payload
//!
//! A control frame carries one message; the other two kinds carry raw bytes of the stream's service. No frame is empty, and
//! stream 0, which belongs to the connection itself, has no data.

pub use crate::generated::limits::{FrameKind, FRAME_HEADER_BYTES as HEADER_BYTES};
use crate::generated::limits::{COUNTED_HEADER_BYTES, MAX_CONTROL_PAYLOAD, MAX_DATA_PAYLOAD};
use crate::generated::messages::Message;
use crate::protocol::wire::WireError;
use crate::sys;
use std::io;
use std::os::unix::io::{AsRawFd, OwnedFd};

/// Bytes; memory above this is given back once a large frame has been handled.
const KEPT_CAPACITY: usize = 256 << 10;

#[derive(Debug, PartialEq)]
pub struct Frame<'a> {
    pub stream: u32,
    pub kind: FrameKind,
    pub payload: &'a [u8],
}

/// Cuts a byte stream into frames, however the bytes arrive.
///
///     decoder.push(&bytes);
///     while let Some(frame) = decoder.next()? { ... }
#[derive(Default)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    /// Where the frames that `next` has not returned begin.
    start: usize,
}

impl FrameDecoder {
    /// Takes the next bytes. Call `next` until it returns `None` before the next push, so that at most one frame is held.
    #[cfg(test)]
    pub fn push(&mut self, bytes: &[u8]) {
        self.make_room();
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes what a device has to read now, at most `most` bytes in pieces of `piece` bytes, as `push` does. Returns how many
    /// bytes that was; 0 at the end.
    pub fn read(&mut self, fd: &OwnedFd, most: usize, piece: usize) -> io::Result<usize> {
        self.make_room();
        sys::read_pieces(fd, &mut self.buffer, most, (0, piece))
    }

    /// Forgets the frames that were returned, if that costs less than they were long: so the copying stays linear.
    fn make_room(&mut self) {
        if self.start * 2 < self.buffer.len() {
            return;
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.len() < KEPT_CAPACITY {
            self.buffer.shrink_to(KEPT_CAPACITY);
        }
    }

    /// Returns the next complete frame. An error comes with the first byte that no correct stream can have, and the
    /// decoder never gets past it.
    #[allow(clippy::should_implement_trait)] // The frame borrows from the decoder, which Iterator cannot say.
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, WireError> {
        let header = match parse_header(&self.buffer[self.start..])? {
            Some(header) => header,
            None => return Ok(None),
        };
        let payload_start = self.start + HEADER_BYTES;
        let end = payload_start + header.payload_length;
        if self.buffer.len() < end {
            return Ok(None);
        }
        self.start = end;
        Ok(Some(Frame {
            stream: header.stream,
            kind: header.kind,
            payload: &self.buffer[payload_start..end],
        }))
    }

    /// True in the middle of a frame.
    pub fn partial(&self) -> bool {
        self.start < self.buffer.len()
    }
}

struct Header {
    stream: u32,
    kind: FrameKind,
    payload_length: usize,
}

/// Judges a header as far as it has arrived.
fn parse_header(bytes: &[u8]) -> Result<Option<Header>, WireError> {
    let known = bytes.len().min(HEADER_BYTES);
    let mut header = [0; HEADER_BYTES];
    header[..known].copy_from_slice(&bytes[..known]);
    let [l0, l1, l2, l3, s0, s1, s2, s3, kind] = header;
    // With bytes missing, this is the smallest length that it can still become.
    let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    if length > COUNTED_HEADER_BYTES + MAX_CONTROL_PAYLOAD
        || (known >= 4 && length <= COUNTED_HEADER_BYTES)
    {
        return Err(WireError::FrameLength);
    }
    if known < HEADER_BYTES {
        return Ok(None);
    }
    let stream = u32::from_be_bytes([s0, s1, s2, s3]);
    let payload_length = length - COUNTED_HEADER_BYTES;
    let kind = FrameKind::of(kind).ok_or(WireError::FrameKind)?;
    if kind != FrameKind::Control {
        if stream == 0 {
            return Err(WireError::FrameStream);
        }
        if payload_length > MAX_DATA_PAYLOAD {
            return Err(WireError::FrameLength);
        }
    }
    Ok(Some(Header {
        stream,
        kind,
        payload_length,
    }))
}

fn header(stream: u32, kind: FrameKind, payload_length: usize) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let length = (COUNTED_HEADER_BYTES + payload_length) as u32;
    header[..4].copy_from_slice(&length.to_be_bytes());
    header[4..8].copy_from_slice(&stream.to_be_bytes());
    header[8] = kind as u8;
    header
}

/// Appends a frame. Nothing is appended when the receiver would have to refuse it.
pub fn encode_frame(
    out: &mut Vec<u8>,
    stream: u32,
    kind: FrameKind,
    payload: &[u8],
) -> Result<(), WireError> {
    let limit = match kind {
        FrameKind::Control => MAX_CONTROL_PAYLOAD,
        _ => MAX_DATA_PAYLOAD,
    };
    if payload.is_empty() || payload.len() > limit {
        return Err(WireError::FrameLength);
    }
    if stream == 0 && kind != FrameKind::Control {
        return Err(WireError::FrameStream);
    }
    out.extend_from_slice(&header(stream, kind, payload.len()));
    out.extend_from_slice(payload);
    Ok(())
}

/// Appends frames with what a descriptor has to read now, at most `most` bytes, read in place. Returns how many bytes that
/// was; 0 at the end.
pub fn read_frames(
    out: &mut Vec<u8>,
    stream: u32,
    kind: FrameKind,
    fd: &impl AsRawFd,
    most: usize,
) -> io::Result<usize> {
    let start = out.len();
    let count = sys::read_pieces(fd, out, most, (HEADER_BYTES, MAX_DATA_PAYLOAD))?;
    let frames = out[start..].chunks_mut(HEADER_BYTES + MAX_DATA_PAYLOAD);
    for frame in frames {
        let payload_length = frame.len() - HEADER_BYTES;
        frame[..HEADER_BYTES].copy_from_slice(&header(stream, kind, payload_length));
    }
    Ok(count)
}

/// Appends a control frame with this message, encoded in place. Nothing is appended when the message is too long.
pub fn encode_message(out: &mut Vec<u8>, stream: u32, message: &Message) -> Result<(), WireError> {
    let start = out.len();
    out.extend_from_slice(&header(stream, FrameKind::Control, 0));
    message.encode(out);
    let payload_length = out.len() - start - HEADER_BYTES;
    if payload_length > MAX_CONTROL_PAYLOAD {
        out.truncate(start);
        return Err(WireError::FrameLength);
    }
    let length = (COUNTED_HEADER_BYTES + payload_length) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests;
