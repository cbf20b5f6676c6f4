//! Trees, directory by directory, each held open: whatever is renamed or linked meanwhile, what is done in one of them is done
//! there and nowhere else. Names in an open directory go by `/proc/self/fd`, so that they are never too long.

use super::link::Link;
use crate::sys::{ESTALE, O_DIRECTORY, O_NOFOLLOW};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, ReadDir};
use std::io::{Error, Result};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::io::AsRawFd;
use std::path::{Path, PathBuf};

pub struct Directory {
    file: File,
}

impl Directory {
    /// Links followed.
    pub fn open(path: &Path) -> Result<Directory> {
        Directory::with(path, O_DIRECTORY)
    }

    /// A directory and not a link to one.
    pub fn open_itself(path: &Path) -> Result<Directory> {
        Directory::with(path, O_DIRECTORY | O_NOFOLLOW)
    }

    fn with(path: &Path, flags: i32) -> Result<Directory> {
        let mut options = OpenOptions::new();
        let file = options.read(true).custom_flags(flags).open(path)?;
        Ok(Directory { file })
    }

    /// A path to a name in it.
    pub fn at(&self, name: &OsStr) -> PathBuf {
        let mut path = self.path().into_os_string().into_vec();
        path.push(b'/');
        path.extend_from_slice(name.as_bytes());
        PathBuf::from(OsString::from_vec(path))
    }

    /// A path to itself.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn metadata(&self) -> Result<Metadata> {
        self.file.metadata()
    }

    pub fn entries(&self) -> Result<ReadDir> {
        fs::read_dir(self.path())
    }
}

/// So many directories of a way are held open, each with two descriptors. A tree may be as deep as somebody likes.
const MOST_HELD: usize = 32;

/// A directory on the way through a tree.
struct Level {
    /// None while it is let go: more are held below.
    directory: Option<Directory>,
    names: Names,
    /// Where its name begins in the path of the way.
    start: usize,
    /// Device and inode.
    id: (u64, u64),
}

enum Names {
    Listed(ReadDir),
    /// What was left when it was let go.
    Kept(VecDeque<OsString>),
}

/// The way from the root of a tree to what is being looked at. Of a deep one only the last directories are held; others are
/// come back to by `..`, and are what they were or are not entered again.
pub struct Way {
    levels: Vec<Level>,
    /// Below the root, to the last directory.
    path: Vec<u8>,
}

impl Way {
    pub fn new() -> Way {
        Way {
            levels: Vec::new(),
            path: Vec::new(),
        }
    }

    pub fn depth(&self) -> usize {
        self.levels.len()
    }

    /// The path of the last directory below the root; empty for the root.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// The path of a name in it.
    pub fn below(&self, name: &OsStr) -> Vec<u8> {
        let mut path = self.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        path
    }

    /// The last directory.
    pub fn directory(&self) -> Result<&Directory> {
        let last = self.levels.last();
        last.and_then(|level| level.directory.as_ref())
            .ok_or_else(|| Error::from_raw_os_error(ESTALE))
    }

    /// Whether a directory is on the way.
    pub fn has(&self, id: (u64, u64)) -> bool {
        self.levels.iter().any(|level| level.id == id)
    }

    /// Goes into a directory that is in the last one by this name; the first one is the root and has none.
    pub fn enter(&mut self, directory: Directory, name: &OsStr) -> Result<()> {
        let names = Names::Listed(directory.entries()?);
        let id = id_of(&directory.metadata()?);
        if self.levels.len() >= MOST_HELD {
            let at = self.levels.len() - MOST_HELD;
            self.levels[at].let_go()?;
        }
        let start = self.path.len();
        self.path = self.below(name);
        self.levels.push(Level {
            directory: Some(directory),
            names,
            start,
            id,
        });
        Ok(())
    }

    /// The next name in the last directory, unless nobody wants it any more.
    pub fn next(&mut self, link: &Link) -> Result<Option<OsString>> {
        link.check()?;
        self.directory()?;
        match self.levels.last_mut().map(|level| &mut level.names) {
            None => Ok(None),
            Some(Names::Kept(names)) => Ok(names.pop_front()),
            Some(Names::Listed(entries)) => entries
                .next()
                .map(|entry| Ok(entry?.file_name()))
                .transpose(),
        }
    }

    /// Leaves the last directory for the one in which it is. Returns its name.
    pub fn leave(&mut self) -> OsString {
        let left = match self.levels.pop() {
            Some(left) => left,
            None => return OsString::new(),
        };
        let name = self.path.split_off(left.start);
        if let (Some(last), Some(below)) = (self.levels.last_mut(), &left.directory) {
            last.come_back(below);
        }
        OsString::from_vec(match name.split_first() {
            Some((b'/', name)) => name.to_vec(),
            _ => name,
        })
    }
}

impl Level {
    fn let_go(&mut self) -> Result<()> {
        if let Names::Listed(entries) = &mut self.names {
            let names: Result<_> = entries.map(|entry| Ok(entry?.file_name())).collect();
            self.names = Names::Kept(names?);
        }
        self.directory = None;
        Ok(())
    }

    /// Somebody may have put what is below elsewhere meanwhile: then the way back is lost.
    fn come_back(&mut self, below: &Directory) {
        if self.directory.is_some() {
            return;
        }
        let found = Directory::open_itself(&below.at(OsStr::new("..")));
        self.directory = found.ok().filter(|directory| {
            let metadata = directory.metadata();
            metadata.map_or(false, |metadata| id_of(&metadata) == self.id)
        });
    }
}

/// Device and inode.
pub fn id_of(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests;
