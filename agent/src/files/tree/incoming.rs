//! A tree on its way into the guest, as records that are looked at here before anybody acts on one: whoever receives a tree only
//! says where its parts go.

use super::records::{broken, Record, Records};
use crate::files::failed::{path_of, During, Outcome};
use crate::files::link::Link;
use crate::files::target::{Contents, Destination};
use crate::generated::messages::{FileProblem, TreeEntry};
use std::io::{Error, Result};
use std::path::{Path, PathBuf};

/// What a tree consists of besides its root. Paths lead below the root.
pub enum Part {
    Entry(TreeEntry),
    /// A further name of a file that came before.
    Link {
        path: Vec<u8>,
        target: Vec<u8>,
    },
    /// What the sender could not read.
    Problem(FileProblem),
}

/// What has come of the contents of a file.
pub enum Contained {
    Whole,
    /// Whoever sends it could not read it to its end.
    Void(FileProblem),
    /// It could not be written.
    Failed(Error),
}

/// What it returns as an error ends the tree: the stream is over, or is none of a tree.
pub struct Incoming<'a> {
    pub link: &'a mut Link,
    records: Records,
    /// Where the tree goes, for errors.
    path: &'a Path,
}

impl<'a> Incoming<'a> {
    pub fn new(link: &'a mut Link, path: &'a Path) -> Incoming<'a> {
        Incoming {
            link,
            records: Records::new(),
            path,
        }
    }

    /// What comes first.
    pub fn root(&mut self) -> Outcome<TreeEntry> {
        match self.next_record()? {
            Some(Record::Entry(entry)) if entry.path.is_empty() => Ok(entry),
            _ => Err(broken("it has no root")).during("receive", self.path),
        }
    }

    /// The next part; None at the end. The contents of the file before must have been taken.
    pub fn next(&mut self) -> Outcome<Option<Part>> {
        let part = match self.next_record()? {
            None => return Ok(None),
            Some(Record::Entry(entry)) => {
                self.check(&entry.path)?;
                Part::Entry(entry)
            }
            Some(Record::Link { path, target }) => {
                self.check(&path)?;
                self.check(&target)?;
                Part::Link { path, target }
            }
            Some(Record::Problem(problem)) => Part::Problem(problem),
            Some(Record::Data(_) | Record::Hole(_)) => {
                return Err(broken("it has data without a file")).during("receive", self.path)
            }
        };
        Ok(Some(part))
    }

    /// Takes what a file consists of, and writes it where there is something to write to.
    pub fn contents(
        &mut self,
        entry: &TreeEntry,
        target: Option<&mut dyn Destination>,
    ) -> Outcome<Contained> {
        let path = match entry.path.is_empty() {
            true => PathBuf::from(self.path),
            false => self.path.join(path_of(&entry.path)),
        };
        self.contents_at(entry.size, target)
            .during("receive", &path)
    }

    fn contents_at(
        &mut self,
        size: u64,
        target: Option<&mut dyn Destination>,
    ) -> Result<Contained> {
        let mut file = target.map(Contents::of);
        let mut at = 0;
        while at < size {
            let (length, hole) = match self.records.next(self.link)? {
                Some(Record::Data(length)) => (length, false),
                Some(Record::Hole(length)) => (length, true),
                Some(Record::Problem(problem)) => return Ok(Contained::Void(problem)),
                _ => return Err(broken("a file is not whole")),
            };
            if length == 0 || length > size - at {
                return Err(broken("a file is longer than it says"));
            }
            at += length;
            if hole {
                if let Some(file) = &mut file {
                    file.skip(at);
                }
                continue;
            }
            let mut left = length;
            while left > 0 {
                let bytes = self.records.data(self.link, left)?;
                left -= bytes.len() as u64;
                if let Some(file) = &mut file {
                    file.write(bytes);
                }
            }
        }
        Ok(match file.map(|file| file.finish(size)) {
            Some(Err(error)) => Contained::Failed(error),
            _ => Contained::Whole,
        })
    }

    fn next_record(&mut self) -> Outcome<Option<Record>> {
        self.records.next(self.link).during("receive", self.path)
    }

    /// Refuses the path of a second root, and one that leads elsewhere.
    fn check(&self, path: &[u8]) -> Outcome<()> {
        let wrong = match path.is_empty() {
            true => "it has two roots",
            false if names_of(path).all(is_name) => return Ok(()),
            false => "it has a path that leads elsewhere",
        };
        Err(broken(wrong)).during("receive", path_of(path))
    }
}

/// The names of a path below a root.
pub fn names_of(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}

fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.contains(&0)
}
