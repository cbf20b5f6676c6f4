//! A tree into the guest. What the tree is put into may belong to somebody who changes it meanwhile: below its root everything
//! is done in directories that are held open, and of links to directories only root's own are followed.

use super::failed::{path_of, refusal, During, Failed, Outcome};
use super::link::Link;
use super::records::{broken, Record, Records};
use super::replace::{aside_name, Attributes, Replacement};
use super::send::note;
use super::target::{Contents, Destination, Target};
use super::walk::Directory;
use crate::generated::messages::{FileKind, FileOpened, Message, TreeDone, TreeEntry, TreeReceive};
use crate::sys::{self, EISDIR, ENOTDIR};
use links::{put_hard_link, MadeLinks};
use std::ffi::{OsStr, OsString};
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
    let mut records = Records::new();
    let mut receiver = Receiver {
        request,
        path,
        levels: Vec::new(),
        made_links: MadeLinks::default(),
        done: TreeDone {
            entries: 0,
            bytes: 0,
            problem_count: 0,
            problems: Vec::new(),
        },
    };
    match records.next(link).during("receive", path)? {
        Some(Record::Entry(entry)) if entry.path.is_empty() => {
            receiver.root(entry, parent, &mut records, link)?
        }
        _ => return Err(broken("it has no root")).during("receive", path),
    }
    while let Some(record) = records.next(link).during("receive", path)? {
        match record {
            Record::Entry(entry) => receiver.below(entry, &mut records, link)?,
            Record::Link { path, target } => receiver.further_name(&path, &target)?,
            Record::Problem(problem) => note(&mut receiver.done, problem),
            _ => return Err(broken("it has data without a file")).during("receive", path),
        }
    }
    while !receiver.levels.is_empty() {
        receiver.leave();
    }
    Ok(receiver.done)
}

/// A directory on the way to where the next entry goes.
struct Level {
    /// Empty for the root.
    name: OsString,
    directory: Directory,
    /// What it is to get when everything is in it.
    attributes: Attributes,
}

struct Receiver<'a> {
    request: &'a TreeReceive,
    path: &'a Path,
    levels: Vec<Level>,
    made_links: MadeLinks,
    done: TreeDone,
}

impl Receiver<'_> {
    /// What cannot be done to the root cannot be done at all.
    fn root(
        &mut self,
        entry: TreeEntry,
        parent: Directory,
        records: &mut Records,
        link: &mut Link,
    ) -> Outcome<()> {
        let path = self.path;
        self.done.entries += 1;
        match entry.kind {
            FileKind::Directory => {
                let made = make_directory(path).during("mkdir", path)?;
                let directory = Directory::open(path).during("open", path)?;
                self.enter(OsString::new(), directory, &entry, made);
                Ok(())
            }
            FileKind::File => {
                let mut new = Replacement::begin(path).during("open", path)?;
                let done = self.contents(&entry, Some(&mut new), records, link);
                let done = done.and_then(|written| match written {
                    Contained::Whole => {
                        let attributes = self.attributes(&entry);
                        new.finish(attributes).during("write", path)
                    }
                    Contained::Void => Err(broken("its file is not whole")).during("write", path),
                    Contained::Failed(error) => Err(error).during("write", path),
                });
                new.explain(done)
            }
            FileKind::Symlink => {
                let name = path
                    .file_name()
                    .ok_or_else(|| Error::from_raw_os_error(EISDIR))
                    .during("symlink", path)?;
                self.make_link(&entry, &parent, name)
                    .during("symlink", path)
            }
            FileKind::Other => Err(special()).during("receive", path),
        }
    }

    fn below(&mut self, entry: TreeEntry, records: &mut Records, link: &mut Link) -> Outcome<()> {
        let shown = path_of(&entry.path).to_path_buf();
        let names = names(&entry.path).during("receive", &shown)?;
        let place = names.split_last().map(|(name, above)| {
            self.go_to(above)
                .map(|()| OsStr::from_bytes(name).to_os_string())
        });
        let result = match place {
            None => Err(broken("it has two roots")).during("receive", &shown)?,
            Some(Ok(name)) => self.put(&entry, name, records, link)?,
            Some(Err(error)) => {
                self.drop_contents(&entry, records, link)?;
                Err(error).during("write", &shown)
            }
        };
        self.judge(result, &entry.path)
    }

    /// Counts an entry, and takes note of what went wrong with it alone.
    fn judge(&mut self, result: Outcome<()>, path: &[u8]) -> Outcome<()> {
        self.done.entries += 1;
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

    /// A further name of what came before.
    fn further_name(&mut self, path: &[u8], target: &[u8]) -> Outcome<()> {
        let shown = path_of(path).to_path_buf();
        let name = names(path).during("receive", &shown)?;
        let target = names(target).during("receive", &shown)?;
        let result = match (name.split_last(), target.split_last()) {
            (Some((name, above)), Some((old, old_above))) => {
                self.go_to(above).and_then(|()| match &self.levels[..] {
                    [root, ..] => {
                        let made = &self.made_links;
                        let (top, at) = (&root.directory, &self.levels[self.levels.len() - 1]);
                        let old_directory = made.open_way(top, old_above)?;
                        let old_directory = old_directory.as_ref().unwrap_or(top);
                        let old = old_directory.at(OsStr::from_bytes(old));
                        put_hard_link(&old, &at.directory, OsStr::from_bytes(name))
                    }
                    [] => Err(Error::from_raw_os_error(ENOTDIR)),
                })
            }
            _ => {
                Err(broken("a further name of it is that of its root")).during("receive", &shown)?
            }
        };
        self.judge(result.during("link", &shown), path)
    }

    /// Puts an entry into the directory that was gone to. The outer result is about the stream, the inner about the entry.
    fn put(
        &mut self,
        entry: &TreeEntry,
        name: OsString,
        records: &mut Records,
        link: &mut Link,
    ) -> Outcome<Outcome<()>> {
        let path = path_of(&entry.path);
        let directory = match self.levels.last() {
            Some(level) => &level.directory,
            None => {
                self.drop_contents(entry, records, link)?;
                return Ok(Err(Error::from_raw_os_error(ENOTDIR)).during("write", path));
            }
        };
        let done = match entry.kind {
            FileKind::File => match Target::open(directory, &name) {
                Ok(mut target) => {
                    let contained = self.contents(entry, Some(&mut target), records, link);
                    let done = match target.explain(contained)? {
                        Contained::Whole => target.finish(self.attributes(entry)),
                        // What is wrong with it has been noted.
                        Contained::Void => Ok(()),
                        Contained::Failed(error) => Err(error),
                    };
                    return Ok(target.explain(done.during("write", path)));
                }
                Err(error) => {
                    self.drop_contents(entry, records, link)?;
                    Err(error)
                }
            },
            FileKind::Directory => {
                let at = directory.at(&name);
                make_directory(&at)
                    .and_then(|made| Ok((made, self.made_links.open_below(directory, &name)?)))
                    .map(|(made, deeper)| self.enter(name, deeper, entry, made))
            }
            FileKind::Symlink => self.make_link(entry, directory, &name),
            FileKind::Other => Err(special()),
        };
        Ok(done.during("write", path))
    }

    /// Leaves directories, and opens others, until the last one is the one with these names below the root.
    fn go_to(&mut self, names: &[&[u8]]) -> Result<()> {
        let same = self
            .levels
            .iter()
            .skip(1)
            .zip(names)
            .take_while(|(level, name)| level.name.as_bytes() == **name)
            .count();
        while self.levels.len() > same + 1 {
            self.leave();
        }
        for name in &names[same..] {
            let name = OsStr::from_bytes(name);
            let above = self
                .levels
                .last()
                .ok_or_else(|| Error::from_raw_os_error(ENOTDIR))?;
            let level = Level {
                directory: self.made_links.open_below(&above.directory, name)?,
                name: name.to_os_string(),
                attributes: Attributes::default(),
            };
            self.levels.push(level);
        }
        Ok(())
    }

    /// Goes into a directory. One that was there already stays as it is.
    fn enter(&mut self, name: OsString, directory: Directory, entry: &TreeEntry, made: bool) {
        let attributes = match made {
            true => self.attributes(entry),
            false => Attributes::default(),
        };
        self.levels.push(Level {
            name,
            directory,
            attributes,
        });
    }

    fn leave(&mut self) {
        if let Some(level) = self.levels.pop() {
            if let Err(error) = level.attributes.apply(level.directory.file()) {
                let names: Vec<&[u8]> = self
                    .levels
                    .iter()
                    .chain([&level])
                    .skip(1)
                    .map(|level| level.name.as_bytes())
                    .collect();
                let failed = Err::<(), Error>(error).during("chmod", "");
                if let Err(failed) = failed {
                    note(&mut self.done, failed.into_problem(&names.join(&b'/')));
                }
            }
        }
    }

    fn attributes(&self, entry: &TreeEntry) -> Attributes {
        let request = self.request;
        Attributes {
            mode: request.keep_mode.then(|| entry.mode.into()),
            owner: request.keep_owner.then(|| (entry.uid, entry.gid)),
            modified: request.keep_times.then(|| entry.mtime_ns),
        }
    }

    fn make_link(&self, entry: &TreeEntry, directory: &Directory, name: &OsStr) -> Result<()> {
        let (target, at) = (path_of(&entry.target), directory.at(name));
        match symlink(target, &at) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if fs::symlink_metadata(&at)?.is_dir() {
                    return Err(Error::from_raw_os_error(EISDIR));
                }
                let aside = directory.at(&aside_name()?);
                symlink(target, &aside)?;
                if let Err(error) = fs::rename(&aside, &at) {
                    let _ = fs::remove_file(&aside);
                    return Err(error);
                }
            }
            made => made?,
        }
        self.made_links.add(&at)?;
        if self.request.keep_owner {
            sys::set_owner(&at, Some(entry.uid), Some(entry.gid), false)?;
        }
        match self.request.keep_times {
            true => sys::set_times(&at, None, Some(entry.mtime_ns), false),
            false => Ok(()),
        }
    }

    fn drop_contents(
        &mut self,
        entry: &TreeEntry,
        records: &mut Records,
        link: &mut Link,
    ) -> Outcome<()> {
        match entry.kind {
            FileKind::File => self.contents(entry, None, records, link).map(drop),
            _ => Ok(()),
        }
    }

    /// Takes what a file consists of, and writes it where there is something to write to. Fails when the stream does.
    fn contents(
        &mut self,
        entry: &TreeEntry,
        target: Option<&mut dyn Destination>,
        records: &mut Records,
        link: &mut Link,
    ) -> Outcome<Contained> {
        let mut file = target.map(Contents::of);
        let mut at = 0;
        let path = path_of(&entry.path);
        while at < entry.size {
            let (length, hole) = match records.next(link).during("receive", path)? {
                Some(Record::Data(length)) => (length, false),
                Some(Record::Hole(length)) => (length, true),
                Some(Record::Problem(problem)) => {
                    note(&mut self.done, problem);
                    return Ok(Contained::Void);
                }
                _ => return Err(broken("a file is not whole")).during("receive", path),
            };
            if length == 0 || length > entry.size - at {
                return Err(broken("a file is longer than it says")).during("receive", path);
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
                let bytes = records.data(link, left).during("receive", path)?;
                left -= bytes.len() as u64;
                if let Some(file) = &mut file {
                    file.write(bytes);
                }
            }
            self.done.bytes += length;
        }
        Ok(match file.map(|file| file.finish(entry.size)) {
            Some(Err(error)) => Contained::Failed(error),
            _ => Contained::Whole,
        })
    }
}

/// What has come of the contents of a file.
enum Contained {
    Whole,
    /// Whoever sends it could not read it to its end.
    Void,
    /// It could not be written.
    Failed(Error),
}

/// Whether it was made; one that is there is as good.
fn make_directory(path: &Path) -> Result<bool> {
    match fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Ok(false),
            _ => Err(Error::from_raw_os_error(ENOTDIR)),
        },
        Err(error) => Err(error),
    }
}

/// The names of a path below the root.
fn names(path: &[u8]) -> Result<Vec<&[u8]>> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    match names
        .iter()
        .all(|name| !matches!(*name, b"" | b"." | b"..") && !name.contains(&0))
    {
        true => Ok(names),
        false => Err(broken("it has a path that leads elsewhere")),
    }
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

mod links;

#[cfg(test)]
mod tests;
