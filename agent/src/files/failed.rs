//! What goes wrong with a file, in the words of `FileFailed` and `FileProblem`.

use crate::generated::messages::{FileFailed, FileProblem, Message};
use crate::sys;
use std::ffi::OsStr;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

#[derive(Debug)]
pub struct Failed {
    path: Vec<u8>,
    operation: &'static str,
    error: Error,
    /// What else there is to say.
    more: &'static str,
}

pub type Outcome<T> = std::result::Result<T, Failed>;

/// Says what was being done to what when a call failed.
pub trait During<T> {
    fn during(self, operation: &'static str, path: impl AsRef<OsStr>) -> Outcome<T>;
}

impl<T> During<T> for Result<T> {
    fn during(self, operation: &'static str, path: impl AsRef<OsStr>) -> Outcome<T> {
        self.map_err(|error| Failed {
            path: path.as_ref().as_bytes().to_vec(),
            operation,
            error,
            more: "",
        })
    }
}

impl Failed {
    pub fn into_message(self) -> Message {
        Message::FileFailed(FileFailed {
            errno: sys::errno_of(&self.error),
            message: self.message(),
            operation: String::from(self.operation),
            path: self.path,
        })
    }

    pub fn errno(&self) -> i32 {
        sys::errno_of(&self.error)
    }

    /// About the entry of a tree, by its path in there.
    pub fn into_problem(self, path: &[u8]) -> FileProblem {
        FileProblem {
            path: path.to_vec(),
            operation: String::from(self.operation),
            errno: sys::errno_of(&self.error),
            message: self.message(),
        }
    }

    /// The same, with something else to say.
    pub fn and(self, more: &'static str) -> Failed {
        Failed { more, ..self }
    }

    fn message(&self) -> String {
        let words = sys::words_of(&self.error);
        match self.more {
            "" => words,
            more => format!("{words}; {more}"),
        }
    }
}

/// A reason that no system call has given.
pub fn refusal(message: &str) -> Error {
    Error::new(ErrorKind::Other, message)
}

pub fn path_of(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}
