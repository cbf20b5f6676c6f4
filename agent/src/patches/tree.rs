//! A file or a tree of the host's on its way into the root.

use super::place::Place;
use super::{clear, is_there, new_directory, NewFile};
use crate::files::failed::{path_of, refusal, During, Outcome};
use crate::files::link::Link;
use crate::files::records::{broken, Record, Records};
use crate::files::replace::Attributes;
use crate::files::target::{Contents, Destination};
use crate::generated::messages::{FileKind, PatchApply, TreeEntry};
use crate::guest::places;
use crate::sys::{self, EEXIST};
use std::fs::{self, OpenOptions};
use std::io::Result;
use std::os::unix::fs::{symlink, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What most files have, so that they need not be given it.
const USUAL_MODE: u32 = 0o644;

/// Takes a tree. A directory that is there is gone into, if it may be replaced: what is in it and in the tree is replaced, the rest
/// stays. Links to directories are followed there, others are replaced.
pub fn receive(request: &PatchApply, place: &Place, link: &mut Link) -> Outcome<()> {
    let path = place.path();
    let mut records = Records::new();
    let root = match records.next(link).during("receive", path)? {
        Some(Record::Entry(entry)) if entry.path.is_empty() => entry,
        _ => return Err(broken("it has no root")).during("receive", path),
    };
    let mode = request.mode.map_or(u32::from(root.mode), u32::from);
    match root.kind {
        FileKind::File => {
            let mut new = NewFile::begin(request, place).during("open", path)?;
            contents(&root, &mut new, &mut records, link, path)?;
            new.finish(mode, link)?;
        }
        FileKind::Directory => {
            if place.found(request.replace).is_err() {
                return Err(is_there()).during("mkdir", path);
            }
            let mut tree = Tree {
                root: place.at(),
                owned: !request.in_place,
                made: Vec::new(),
            };
            tree.directory(place.at(), mode, link)?;
            while let Some(record) = records.next(link).during("receive", path)? {
                match record {
                    Record::Entry(entry) => tree.put(&entry, &mut records, link)?,
                    _ => return Err(broken("it has data without a file")).during("receive", path),
                }
            }
            tree.leave_until(Path::new(""))?;
            return Ok(());
        }
        _ => return Err(refusal("it is neither a file nor a directory")).during("receive", path),
    }
    match records.next(link).during("receive", path)? {
        None => Ok(()),
        Some(_) => Err(broken("a file has something in it")).during("receive", path),
    }
}

struct Tree {
    root: PathBuf,
    owned: bool,
    /// The directories on the way that were made, and what mode they get when everything is in them.
    made: Vec<(PathBuf, u32)>,
}

impl Tree {
    fn put(&mut self, entry: &TreeEntry, records: &mut Records, link: &mut Link) -> Outcome<()> {
        let below = path_of(&entry.path);
        if below.components().any(|part| !is_name(part)) || below.as_os_str().is_empty() {
            return Err(broken("it has a path that leads elsewhere")).during("receive", below);
        }
        let at = self.root.join(below);
        self.leave_until(&at)?;
        let mode = u32::from(entry.mode);
        match entry.kind {
            FileKind::Directory => self.directory(at, mode, link),
            FileKind::File => self.file(entry, &at, mode, records, link),
            FileKind::Symlink => {
                clear(&at, link)?;
                symlink(path_of(&entry.target), &at).during("symlink", &at)?;
                self.own(&at).during("chown", &at)
            }
            FileKind::Other => {
                Err(refusal("devices, pipes and sockets are not copied")).during("receive", &at)
            }
        }
    }

    fn directory(&mut self, at: PathBuf, mode: u32, link: &Link) -> Outcome<()> {
        if fs::metadata(&at).map_or(false, |found| found.is_dir()) {
            return Ok(());
        }
        clear(&at, link)?;
        // Whoever must not write in it is not to be kept from it before it is filled.
        new_directory(&at, 0o700, self.owned).during("mkdir", &at)?;
        self.made.push((at, mode));
        Ok(())
    }

    fn file(
        &self,
        entry: &TreeEntry,
        at: &Path,
        mode: u32,
        records: &mut Records,
        link: &mut Link,
    ) -> Outcome<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(USUAL_MODE);
        let mut file = match options.open(at) {
            Err(error) if sys::errno_of(&error) == EEXIST => {
                clear(at, link)?;
                options.open(at)
            }
            opened => opened,
        }
        .during("open", at)?;
        contents(entry, &mut file, records, link, at)?;
        if self.owned && self.made.is_empty() {
            // In a directory that was there, which may give its group to what is in it.
            sys::set_file_owner(&file, Some(0), Some(0)).during("chown", at)?;
        }
        match mode {
            USUAL_MODE => Ok(()),
            mode => Attributes::mode(Some(mode)).apply(&file).during("chmod", at),
        }
    }

    fn own(&self, at: &Path) -> Result<()> {
        match self.owned {
            true => sys::set_owner(at, Some(0), Some(0), false),
            false => Ok(()),
        }
    }

    /// Leaves directories until a path is in the last one.
    fn leave_until(&mut self, path: &Path) -> Outcome<()> {
        while let Some((directory, mode)) = self.made.last() {
            if path.starts_with(directory) {
                break;
            }
            places::set_mode(directory, *mode).during("chmod", directory)?;
            self.made.pop();
        }
        Ok(())
    }
}

/// Takes what a file consists of, and writes it.
fn contents(
    entry: &TreeEntry,
    file: &mut dyn Destination,
    records: &mut Records,
    link: &mut Link,
    path: &Path,
) -> Outcome<()> {
    let mut contents = Contents::of(file);
    let mut at = 0;
    while at < entry.size {
        let (length, hole) = match records.next(link).during("receive", path)? {
            Some(Record::Data(length)) => (length, false),
            Some(Record::Hole(length)) => (length, true),
            _ => return Err(broken("a file is not whole")).during("receive", path),
        };
        if length == 0 || length > entry.size - at {
            return Err(broken("a file is longer than it says")).during("receive", path);
        }
        at += length;
        if hole {
            contents.skip(at);
            continue;
        }
        let mut left = length;
        while left > 0 {
            let bytes = records.data(link, left).during("receive", path)?;
            left -= bytes.len() as u64;
            contents.write(bytes);
        }
    }
    contents.finish(entry.size).during("write", path)
}

fn is_name(part: std::path::Component<'_>) -> bool {
    matches!(part, std::path::Component::Normal(_))
}
