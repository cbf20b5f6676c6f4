//! The directories between the root of a tree that is received and what comes next, each held open.

use super::links::MadeLinks;
use crate::files::failed::During;
use crate::files::replace::Attributes;
use crate::files::tree::send::note;
use crate::files::walk::Directory;
use crate::generated::messages::TreeDone;
use crate::sys::ENOTDIR;
use std::ffi::{OsStr, OsString};
use std::io::{Error, Result};
use std::os::unix::ffi::OsStrExt;

struct Level {
    /// Empty for the root.
    name: OsString,
    directory: Directory,
    /// What it is to get when everything is in it.
    attributes: Attributes,
}

#[derive(Default)]
pub struct Levels {
    levels: Vec<Level>,
    pub made_links: MadeLinks,
}

impl Levels {
    /// The root, unless it is no directory.
    pub fn root(&self) -> Result<&Directory> {
        found(self.levels.first())
    }

    /// The one that was gone to.
    pub fn last(&self) -> Result<&Directory> {
        found(self.levels.last())
    }

    /// Goes into a directory of the last one.
    pub fn enter(&mut self, name: OsString, directory: Directory, attributes: Attributes) {
        self.levels.push(Level {
            name,
            directory,
            attributes,
        });
    }

    /// Leaves directories, and opens others, until the last one is the one with these names below the root.
    pub fn go_to(&mut self, names: &[&[u8]], done: &mut TreeDone) -> Result<()> {
        let same = self
            .levels
            .iter()
            .skip(1)
            .zip(names)
            .take_while(|(level, name)| level.name.as_bytes() == **name)
            .count();
        while self.levels.len() > same + 1 {
            self.leave(done);
        }
        for name in &names[same..] {
            let name = OsStr::from_bytes(name);
            let directory = self.made_links.open_below(self.last()?, name)?;
            self.enter(name.to_os_string(), directory, Attributes::default());
        }
        Ok(())
    }

    /// Takes note of what the directories could not be given.
    pub fn leave_all(&mut self, done: &mut TreeDone) {
        while !self.levels.is_empty() {
            self.leave(done);
        }
    }

    fn leave(&mut self, done: &mut TreeDone) {
        let level = match self.levels.pop() {
            Some(level) => level,
            None => return,
        };
        let applied = level.attributes.apply(level.directory.file());
        if let Err(failed) = applied.during("chmod", "") {
            let way = self.levels.iter().chain([&level]).skip(1);
            let names: Vec<&[u8]> = way.map(|level| level.name.as_bytes()).collect();
            note(done, failed.into_problem(&names.join(&b'/')));
        }
    }
}

fn found(level: Option<&Level>) -> Result<&Directory> {
    level
        .map(|level| &level.directory)
        .ok_or_else(|| Error::from_raw_os_error(ENOTDIR))
}
