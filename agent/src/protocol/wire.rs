//! The field types of `src/protocol/schema/types.ts` as bytes. Everything is big-endian.

// Which field types occur in the agent's messages is the schema's choice.
#![allow(dead_code)]

use std::fmt;

/// The largest `u53`: 2^53 - 1, the largest integer that JavaScript's numbers hold exactly.
const U53_MAX: u64 = (1 << 53) - 1;

/// Which rule of the protocol the bytes break.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WireError {
    Truncated,
    TrailingBytes,
    UnexpectedTag,
    BadBool,
    BadEnum,
    BadUtf8,
    BadU53,
    FrameLength,
    FrameKind,
    FrameStream,
}

impl fmt::Display for WireError {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(match self {
            WireError::Truncated => "truncated message",
            WireError::TrailingBytes => "trailing bytes",
            WireError::UnexpectedTag => "unexpected message tag",
            WireError::BadBool => "bad bool",
            WireError::BadEnum => "bad enum index",
            WireError::BadUtf8 => "invalid UTF-8",
            WireError::BadU53 => "u53 out of range",
            WireError::FrameLength => "frame length out of range",
            WireError::FrameKind => "unknown frame kind",
            WireError::FrameStream => "data on stream 0",
        })
    }
}

impl std::error::Error for WireError {}

/// Takes fields from the front of a message's bytes.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        if count > self.rest.len() {
            return Err(WireError::Truncated);
        }
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(u8::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn i32(&mut self) -> Result<i32, WireError> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_be_bytes)
    }

    pub fn i64(&mut self) -> Result<i64, WireError> {
        self.array().map(i64::from_be_bytes)
    }

    pub fn u53(&mut self) -> Result<u64, WireError> {
        match self.u64()? {
            value if value <= U53_MAX => Ok(value),
            _ => Err(WireError::BadU53),
        }
    }

    pub fn bool(&mut self) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::BadBool),
        }
    }

    pub fn bytes(&mut self) -> Result<Vec<u8>, WireError> {
        let length = self.u32()? as usize;
        Ok(self.take(length)?.to_vec())
    }

    pub fn str(&mut self) -> Result<String, WireError> {
        String::from_utf8(self.bytes()?).map_err(|_| WireError::BadUtf8)
    }

    /// `minimum` is the size of the smallest element: a count that cannot fit in what is left is refused at once.
    pub fn list<T>(
        &mut self,
        minimum: usize,
        read: impl Fn(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let count = self.u32()? as usize;
        if count > self.rest.len() / minimum {
            return Err(WireError::Truncated);
        }
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }

    pub fn optional<T>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        if self.bool()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Refuses bytes after the last field.
    pub fn end(&self) -> Result<(), WireError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(WireError::TrailingBytes)
        }
    }
}

pub fn put_u8(out: &mut Vec<u8>, value: u8) {
    out.push(value);
}

pub fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn put_i32(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// A value above 2^53 - 1 is sent as 2^53 - 1.
pub fn put_u53(out: &mut Vec<u8>, value: u64) {
    put_u64(out, value.min(U53_MAX));
}

pub fn put_bool(out: &mut Vec<u8>, value: bool) {
    put_u8(out, value as u8);
}

pub fn put_bytes(out: &mut Vec<u8>, value: &[u8]) {
    put_u32(out, value.len() as u32);
    out.extend_from_slice(value);
}

pub fn put_str(out: &mut Vec<u8>, value: &str) {
    put_bytes(out, value.as_bytes());
}

pub fn put_list<T>(out: &mut Vec<u8>, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    put_u32(out, items.len() as u32);
    for item in items {
        write(out, item);
    }
}

pub fn put_optional<T>(out: &mut Vec<u8>, value: &Option<T>, write: impl Fn(&mut Vec<u8>, &T)) {
    put_bool(out, value.is_some());
    if let Some(value) = value {
        write(out, value);
    }
}
