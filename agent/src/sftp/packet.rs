//! The form of SFTP's packets (draft-ietf-secsh-filexfer-02, 3 to 8): numbers in network order, strings behind their length.

use std::io::{Error, ErrorKind, Result};

/// What a client asks for.
pub mod ask {
    pub const INIT: u8 = 1;
    pub const OPEN: u8 = 3;
    pub const CLOSE: u8 = 4;
    pub const READ: u8 = 5;
    pub const WRITE: u8 = 6;
    pub const LSTAT: u8 = 7;
    pub const FSTAT: u8 = 8;
    pub const SETSTAT: u8 = 9;
    pub const FSETSTAT: u8 = 10;
    pub const OPENDIR: u8 = 11;
    pub const READDIR: u8 = 12;
    pub const REMOVE: u8 = 13;
    pub const MKDIR: u8 = 14;
    pub const RMDIR: u8 = 15;
    pub const REALPATH: u8 = 16;
    pub const STAT: u8 = 17;
    pub const RENAME: u8 = 18;
    pub const READLINK: u8 = 19;
    pub const SYMLINK: u8 = 20;
    pub const EXTENDED: u8 = 200;
}

/// What it is answered.
pub mod answer {
    pub const VERSION: u8 = 2;
    pub const STATUS: u8 = 101;
    pub const HANDLE: u8 = 102;
    pub const DATA: u8 = 103;
    pub const NAME: u8 = 104;
    pub const ATTRS: u8 = 105;
    pub const EXTENDED: u8 = 201;
}

/// How a request has ended.
pub mod status {
    pub const OK: u32 = 0;
    pub const EOF: u32 = 1;
    pub const NO_SUCH_FILE: u32 = 2;
    pub const PERMISSION_DENIED: u32 = 3;
    pub const FAILURE: u32 = 4;
    pub const BAD_MESSAGE: u32 = 5;
    pub const OP_UNSUPPORTED: u32 = 8;
}

/// Reads the fields of a packet, one after the other.
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields { rest: bytes }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        if count > self.rest.len() {
            return Err(bad("a packet ends in the middle of a field"));
        }
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        Ok(taken)
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    pub fn u32(&mut self) -> Result<u32> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(u32::from_be_bytes(bytes))
    }

    pub fn u64(&mut self) -> Result<u64> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(u64::from_be_bytes(bytes))
    }

    pub fn string(&mut self) -> Result<&'a [u8]> {
        let length = self.u32()? as usize;
        self.take(length)
    }
}

/// What the client sent is no packet, or one that it may not send.
pub fn bad(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

/// Builds one packet after the other in the same memory.
pub struct Packet {
    bytes: Vec<u8>,
}

impl Packet {
    pub fn new() -> Packet {
        Packet { bytes: Vec::new() }
    }

    /// Begins the answer to a request.
    pub fn begin(&mut self, kind: u8, id: u32) -> &mut Packet {
        self.begin_without_id(kind).u32(id)
    }

    pub fn begin_without_id(&mut self, kind: u8) -> &mut Packet {
        self.bytes.clear();
        self.bytes.extend_from_slice(&[0, 0, 0, 0, kind]);
        self
    }

    pub fn u32(&mut self, value: u32) -> &mut Packet {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub fn u64(&mut self, value: u64) -> &mut Packet {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub fn string(&mut self, value: &[u8]) -> &mut Packet {
        self.u32(value.len() as u32);
        self.bytes.extend_from_slice(value);
        self
    }

    /// Puts a number where a placeholder of four bytes was written.
    pub fn set_u32(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }

    /// Appends what `read` fills of so many bytes, behind its length. None: it filled nothing.
    pub fn filled<F>(&mut self, most: usize, read: F) -> Result<Option<usize>>
    where
        F: FnOnce(&mut [u8]) -> Result<usize>,
    {
        let start = self.bytes.len();
        self.bytes.resize(start + 4 + most, 0);
        let count = read(&mut self.bytes[start + 4..])?;
        self.bytes.truncate(start + 4 + count);
        self.set_u32(start, count as u32);
        Ok(Some(count).filter(|count| *count > 0))
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The packet with its length.
    pub fn finished(&mut self) -> &[u8] {
        let length = (self.bytes.len() - 4) as u32;
        self.set_u32(0, length);
        &self.bytes
    }
}
