//! The records of a tree in transit, as `src/protocol/schema/files.ts` describes them.

use crate::files::failed::refusal;
use crate::files::link::Link;
use crate::generated::limits::{
    MAX_RECORD, RECORD_DATA, RECORD_ENTRY, RECORD_HOLE, RECORD_LINK, RECORD_PROBLEM,
};
use crate::generated::messages::{FileProblem, TreeEntry};
use crate::protocol::wire::{Reader, WireError};
use std::io::{Error, ErrorKind, Result};

pub fn put_entry(out: &mut Vec<u8>, entry: &TreeEntry) {
    put(out, RECORD_ENTRY, |out| entry.encode(out));
}

/// In the middle of a file: what came of it is void.
pub fn put_problem(out: &mut Vec<u8>, problem: &FileProblem) {
    put(out, RECORD_PROBLEM, |out| problem.encode(out));
}

/// Bytes of a record of data, which are followed by those that it tells of.
pub const DATA_RECORD: usize = 13;

/// So many bytes of the file before follow.
pub fn put_data(out: &mut Vec<u8>, length: u64) {
    put(out, RECORD_DATA, |out| out.extend(length.to_be_bytes()));
}

/// So many bytes of the file before are a hole.
pub fn put_hole(out: &mut Vec<u8>, length: u64) {
    put(out, RECORD_HOLE, |out| out.extend(length.to_be_bytes()));
}

fn put(out: &mut Vec<u8>, kind: usize, fields: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0, 0, 0, 0, kind as u8]);
    fields(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

#[derive(Debug, PartialEq)]
pub enum Record {
    Entry(TreeEntry),
    Data(u64),
    Hole(u64),
    Problem(FileProblem),
    /// A further name of a file before.
    Link {
        path: Vec<u8>,
        target: Vec<u8>,
    },
}

/// Takes records, and the data between them, from what arrives in pieces.
pub struct Records {
    piece: Vec<u8>,
    at: usize,
}

impl Records {
    pub fn new() -> Records {
        Records {
            piece: Vec::new(),
            at: 0,
        }
    }

    /// The next record; None at the end. The data of the one before must have been taken.
    pub fn next(&mut self, link: &mut Link) -> Result<Option<Record>> {
        if self.rest(link)?.is_empty() {
            return Ok(None);
        }
        let mut length = [0; 4];
        self.fill(link, &mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length == 0 || length > MAX_RECORD {
            return Err(broken("its length is out of range"));
        }
        let mut bytes = vec![0; length];
        self.fill(link, &mut bytes)?;
        parse(&bytes).map(Some)
    }

    /// Some of the data of the last record, at most so many bytes.
    pub fn data(&mut self, link: &mut Link, most: u64) -> Result<&[u8]> {
        let count = self.rest(link)?.len().min(most as usize);
        if count == 0 {
            return Err(Error::from(ErrorKind::UnexpectedEof));
        }
        self.at += count;
        Ok(&self.piece[self.at - count..self.at])
    }

    fn rest(&mut self, link: &mut Link) -> Result<&[u8]> {
        while self.at == self.piece.len() {
            match link.receive()? {
                Some(piece) => self.piece = piece,
                None => self.piece.clear(),
            }
            self.at = 0;
            if self.piece.is_empty() {
                break;
            }
        }
        Ok(&self.piece[self.at..])
    }

    fn fill(&mut self, link: &mut Link, out: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        while filled < out.len() {
            let bytes = self.data(link, (out.len() - filled) as u64)?;
            out[filled..filled + bytes.len()].copy_from_slice(bytes);
            filled += bytes.len();
        }
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Result<Record> {
    let mut reader = Reader::new(bytes);
    let record = match reader.u8().map(usize::from) {
        Ok(RECORD_ENTRY) => TreeEntry::decode(&mut reader).map(Record::Entry),
        Ok(RECORD_PROBLEM) => FileProblem::decode(&mut reader).map(Record::Problem),
        Ok(RECORD_LINK) => further_name(&mut reader),
        Ok(RECORD_DATA) => reader.u53().map(Record::Data),
        Ok(RECORD_HOLE) => reader.u53().map(Record::Hole),
        Ok(_) => return Err(broken("its kind is unknown")),
        Err(error) => Err(error),
    };
    record
        .and_then(|record| reader.end().map(|()| record))
        .map_err(|error| broken(&error.to_string()))
}

fn further_name(reader: &mut Reader) -> std::result::Result<Record, WireError> {
    let (path, target) = (reader.bytes()?, reader.bytes()?);
    Ok(Record::Link { path, target })
}

/// The supervisor passes on what a client has sent: this ends the stream and not the connection.
pub fn broken(why: &str) -> Error {
    refusal(&format!("the tree that was sent is broken: {why}"))
}

#[cfg(test)]
mod tests;
