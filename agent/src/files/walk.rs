//! Trees, directory by directory, each held open: whatever is renamed or linked meanwhile, what is done in one of them is done
//! there and nowhere else. Names in an open directory go by `/proc/self/fd`, so that they are never too long.

use super::link::Link;
use crate::sys::{O_DIRECTORY, O_NOFOLLOW};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, ReadDir};
use std::io::Result;
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

/// A directory on the way through a tree.
pub struct Level {
    pub directory: Directory,
    entries: ReadDir,
    /// Below the tree's root; empty for the root.
    pub path: Vec<u8>,
    /// Device and inode.
    pub id: (u64, u64),
}

impl Level {
    pub fn new(directory: Directory, path: Vec<u8>) -> Result<Level> {
        let entries = directory.entries()?;
        let metadata = directory.metadata()?;
        Ok(Level {
            id: (metadata.dev(), metadata.ino()),
            directory,
            entries,
            path,
        })
    }

    /// The next name, unless nobody wants it any more.
    pub fn next(&mut self, link: &Link) -> Result<Option<OsString>> {
        link.check()?;
        match self.entries.next() {
            None => Ok(None),
            Some(entry) => Ok(Some(entry?.file_name())),
        }
    }

    /// The path of a name in it, below the tree's root.
    pub fn below(&self, name: &OsStr) -> Vec<u8> {
        let mut path = self.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        path
    }
}
