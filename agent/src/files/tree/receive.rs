//! A tree into the guest. What the tree is put into may belong to somebody who changes it meanwhile: below its root everything
//! is done in directories that are held open, and of links to directories only root's own are followed.

mod levels;
mod links;

use super::incoming::{names_of, Contained, Incoming, Part};
use super::records::broken;
use super::send::note;
use crate::files::failed::{path_of, refusal, During, Failed, Outcome};
use crate::files::link::Link;
use crate::files::replace::{names_directory, Attributes, Replacement};
use crate::files::target::Target;
use crate::files::walk::Directory;
use crate::generated::messages::{FileKind, FileOpened, Message, TreeDone, TreeEntry, TreeReceive};
use crate::sys::{self, EISDIR, ENOTDIR};
use levels::Levels;
use std::ffi::OsStr;
use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

pub fn receive(request: &TreeReceive, link: &mut Link) -> Outcome<TreeDone> {
    let path = path_of(&request.path);
    let above = path.parent().unwrap_or_else(|| Path::new("/"));
    let parent = Directory::open(above).during("open", above)?;
    link.tell(Message::FileOpened(FileOpened { size: 0 }));
    let mut incoming = Incoming::new(link, path);
    let mut receiver = Receiver {
        request,
        path,
        levels: Levels::default(),
        done: TreeDone {
            problem_count: 0,
            problems: Vec::new(),
        },
    };
    let root = incoming.root()?;
    receiver.root(&root, &parent, &mut incoming)?;
    while let Some(part) = incoming.next()? {
        match part {
            Part::Entry(entry) => receiver.below(&entry, &mut incoming)?,
            Part::Link { path, target } => receiver.further_name(&path, &target)?,
            Part::Problem(problem) => note(&mut receiver.done, problem),
        }
    }
    receiver.levels.leave_all(&mut receiver.done);
    Ok(receiver.done)
}

struct Receiver<'a> {
    request: &'a TreeReceive,
    path: &'a Path,
    levels: Levels,
    done: TreeDone,
}

impl Receiver<'_> {
    /// What cannot be done to the root cannot be done at all.
    fn root(
        &mut self,
        entry: &TreeEntry,
        parent: &Directory,
        incoming: &mut Incoming,
    ) -> Outcome<()> {
        let path = self.path;
        match entry.kind {
            FileKind::Directory => {
                let attributes = self.make_directory(path, entry).during("mkdir", path)?;
                let directory = Directory::open(path).during("open", path)?;
                self.levels.enter(Default::default(), directory, attributes);
                Ok(())
            }
            FileKind::File => {
                let mut new = Replacement::begin(path).during("open", path)?;
                let contained = incoming.contents(entry, Some(&mut new));
                let done = contained.and_then(|contained| {
                    match contained {
                        Contained::Whole => new.finish(self.attributes(entry)),
                        Contained::Void(_) => Err(broken("its file is not whole")),
                        Contained::Failed(error) => Err(error),
                    }
                    .during("write", path)
                });
                new.explain(done)
            }
            FileKind::Symlink => path
                .file_name()
                .filter(|_| !names_directory(path))
                .ok_or_else(|| Error::from_raw_os_error(EISDIR))
                .and_then(|name| self.make_link(entry, parent, name))
                .during("symlink", path),
            FileKind::Other => Err(special()).during("receive", path),
        }
    }

    fn below(&mut self, entry: &TreeEntry, incoming: &mut Incoming) -> Outcome<()> {
        let (above, name) = split(&entry.path);
        let gone = self.levels.go_to(&above, &mut self.done);
        let result = match entry.kind {
            FileKind::File => {
                let target = gone.and_then(|()| Target::open(self.levels.last()?, name));
                self.write(entry, target, incoming)?
            }
            _ => gone
                .and_then(|()| self.put(entry, name))
                .during("write", path_of(&entry.path)),
        };
        self.judge(result, &entry.path)
    }

    /// Takes note of what went wrong with one entry alone.
    fn judge(&mut self, result: Outcome<()>, path: &[u8]) -> Outcome<()> {
        match result {
            Ok(()) => Ok(()),
            // Nothing that follows would fare better.
            Err(failed) if ends_all(&failed) => Err(failed),
            Err(failed) => {
                note(&mut self.done, failed.into_problem(path));
                Ok(())
            }
        }
    }

    /// Puts a link or a directory into the directory that was gone to.
    fn put(&mut self, entry: &TreeEntry, name: &OsStr) -> Result<()> {
        let directory = self.levels.last()?;
        match entry.kind {
            FileKind::Directory => {
                let attributes = self.make_directory(&directory.at(name), entry)?;
                let deeper = self.levels.made_links.open_below(directory, name)?;
                self.levels.enter(name.to_os_string(), deeper, attributes);
                Ok(())
            }
            FileKind::Symlink => self.make_link(entry, directory, name),
            FileKind::File | FileKind::Other => Err(special()),
        }
    }

    /// Writes a file, if it could be opened. The outer result is about the stream, the inner about the file.
    fn write(
        &mut self,
        entry: &TreeEntry,
        target: Result<Target>,
        incoming: &mut Incoming,
    ) -> Outcome<Outcome<()>> {
        let path = path_of(&entry.path);
        let mut target = match target {
            Ok(target) => target,
            Err(error) => {
                incoming.contents(entry, None)?;
                return Ok(Err(error).during("write", path));
            }
        };
        let contained = incoming.contents(entry, Some(&mut target));
        let done = match target.explain(contained)? {
            Contained::Whole => target.finish(self.attributes(entry)),
            Contained::Void(problem) => {
                note(&mut self.done, problem);
                Ok(())
            }
            Contained::Failed(error) => Err(error),
        };
        Ok(target.explain(done.during("write", path)))
    }

    /// A further name of what came before.
    fn further_name(&mut self, path: &[u8], target: &[u8]) -> Outcome<()> {
        let ((above, name), (old_above, old)) = (split(path), split(target));
        let gone = self.levels.go_to(&above, &mut self.done);
        let result = gone.and_then(|()| {
            let (top, directory) = (self.levels.root()?, self.levels.last()?);
            let reached = self.levels.made_links.open_way(top, &old_above)?;
            let old = reached.as_ref().unwrap_or(top).at(old);
            links::put(directory, name, |at| fs::hard_link(&old, at))
        });
        self.judge(result.during("link", path_of(path)), path)
    }

    fn attributes(&self, entry: &TreeEntry) -> Attributes {
        let request = self.request;
        Attributes {
            mode: request.keep_mode.then(|| entry.mode.into()),
            owner: request.keep_owner.then(|| (entry.uid, entry.gid)),
            modified: request.keep_times.then(|| entry.mtime_ns),
        }
    }

    /// Returns what it is to get when everything is in it. One that is there already is as good, and stays as it is.
    fn make_directory(&self, path: &Path, entry: &TreeEntry) -> Result<Attributes> {
        match fs::create_dir(path) {
            Ok(()) => Ok(self.attributes(entry)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => match fs::metadata(path) {
                Ok(metadata) if metadata.is_dir() => Ok(Attributes::default()),
                _ => Err(Error::from_raw_os_error(ENOTDIR)),
            },
            Err(error) => Err(error),
        }
    }

    fn make_link(&self, entry: &TreeEntry, directory: &Directory, name: &OsStr) -> Result<()> {
        let target = path_of(&entry.target);
        links::put(directory, name, |at| symlink(target, at))?;
        let at = directory.at(name);
        self.levels.made_links.add(&at)?;
        if self.request.keep_owner {
            sys::set_owner(&at, Some(entry.uid), Some(entry.gid), false)?;
        }
        match self.request.keep_times {
            true => sys::set_times(&at, None, Some(entry.mtime_ns), false),
            false => Ok(()),
        }
    }
}

/// The names of the directories of a path below the root, and the last name.
fn split(path: &[u8]) -> (Vec<&[u8]>, &OsStr) {
    let mut names: Vec<&[u8]> = names_of(path).collect();
    let name = names.pop().unwrap_or_default();
    (names, OsStr::from_bytes(name))
}

fn special() -> Error {
    refusal("Devices, pipes and sockets are not copied")
}

/// Whether what failed would fail again with every other entry.
fn ends_all(failed: &Failed) -> bool {
    /// ENOSPC, EDQUOT, EROFS, EIO.
    const LASTING: [i32; 4] = [28, 122, 30, 5];
    LASTING.contains(&failed.errno())
}

#[cfg(test)]
mod tests;
