//! Where a file of a tree is written, and how.

use super::attributes::FILE_MODE;
use super::failed::{During, Outcome};
use super::link::Link;
use super::replace::{Attributes, Replacement};
use super::walk::Directory;
use crate::sys::{EISDIR, O_NOFOLLOW};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{Error, ErrorKind, Result, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What new contents go into. Old ones may go when the file is asked for, so that is not done before there is something to write.
pub trait Destination {
    fn file(&mut self) -> Result<&mut File>;
}

/// Writes what arrives, to the end.
pub fn fill(target: &mut dyn Destination, path: &Path, link: &mut Link) -> Outcome<()> {
    while let Some(bytes) = link.receive().during("receive", path)? {
        target
            .file()
            .and_then(|file| file.write_all(&bytes))
            .during("write", path)?;
    }
    Ok(())
}

impl Destination for File {
    fn file(&mut self) -> Result<&mut File> {
        Ok(self)
    }
}

pub enum Target {
    /// There was nothing by its name.
    New(NewFile),
    Old(Replacement),
}

impl Target {
    pub fn open(directory: &Directory, name: &OsStr) -> Result<Target> {
        let at = directory.at(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(FILE_MODE);
        match options.custom_flags(O_NOFOLLOW).open(&at) {
            Ok(file) => Ok(Target::New(NewFile {
                file,
                at,
                whole: false,
            })),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let metadata = fs::symlink_metadata(&at)?;
                if metadata.is_dir() {
                    return Err(Error::from_raw_os_error(EISDIR));
                }
                // A link, a pipe or a device is replaced, not written to.
                let old = Some(metadata).filter(|metadata| metadata.is_file());
                let directory = Directory::open(&directory.path())?;
                Replacement::in_directory(directory, name, old).map(Target::Old)
            }
            Err(error) => Err(error),
        }
    }

    pub fn finish(&mut self, attributes: Attributes) -> Result<()> {
        match self {
            Target::New(new) => new.finish(attributes),
            Target::Old(replacement) => replacement.finish(attributes),
        }
    }

    /// Says it when what failed has cost old contents.
    pub fn explain<T>(&self, outcome: Outcome<T>) -> Outcome<T> {
        match self {
            Target::New(_) => outcome,
            Target::Old(replacement) => replacement.explain(outcome),
        }
    }
}

impl Destination for Target {
    fn file(&mut self) -> Result<&mut File> {
        match self {
            Target::New(new) => Ok(&mut new.file),
            Target::Old(replacement) => replacement.file(),
        }
    }
}

/// Goes away unless it is finished.
pub struct NewFile {
    file: File,
    at: PathBuf,
    whole: bool,
}

impl NewFile {
    fn finish(&mut self, mut attributes: Attributes) -> Result<()> {
        // Mostly it has the right one already, and every call counts where there are many files.
        if attributes.mode == Some(FILE_MODE) && attributes.owner.is_none() {
            attributes.mode = None;
        }
        attributes.apply(&self.file)?;
        self.whole = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.whole {
            let _ = fs::remove_file(&self.at);
        }
    }
}

/// A file that is written as far as it can be.
pub struct Contents<'a> {
    target: &'a mut dyn Destination,
    result: Result<()>,
    hole: bool,
}

impl<'a> Contents<'a> {
    pub fn of(target: &'a mut dyn Destination) -> Contents<'a> {
        Contents {
            target,
            result: Ok(()),
            hole: false,
        }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.hole = false;
        self.change(|file| file.write_all(bytes));
    }

    pub fn skip(&mut self, to: u64) {
        self.hole = true;
        self.change(|file| file.seek(SeekFrom::Start(to)).map(drop));
    }

    pub fn finish(mut self, size: u64) -> Result<()> {
        if self.hole {
            self.change(|file| file.set_len(size));
        }
        self.result
    }

    fn change(&mut self, change: impl FnOnce(&mut File) -> Result<()>) {
        if self.result.is_ok() {
            self.result = self.target.file().and_then(change);
        }
    }
}
