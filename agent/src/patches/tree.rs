//! A file or a tree of the host's on its way into the root.

use super::file::PlacedFile;
use super::place::{self, Place};
use super::{clear, is_there, new_directory};
use crate::files::attributes::FILE_MODE;
use crate::files::failed::{path_of, refusal, During, Outcome};
use crate::files::link::Link;
use crate::files::replace::Attributes;
use crate::files::target::Destination;
use crate::files::tree::incoming::{Contained, Incoming, Part};
use crate::files::tree::records::broken;
use crate::generated::messages::{FileKind, PatchApply, TreeEntry};
use crate::guest::places;
use crate::sys::{self, EEXIST};
use std::fs::{self, OpenOptions};
use std::io::Result;
use std::os::unix::fs::{symlink, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Takes a tree. A directory that is there is gone into, if it may be replaced: what is in it and in the tree is replaced, the rest
/// stays. Links to directories are followed there, others are replaced.
pub fn receive(request: &PatchApply, place: &Place, link: &mut Link) -> Outcome<()> {
    let path = place.path();
    let mut incoming = Incoming::new(link, path);
    let root = incoming.root()?;
    let mode = request.mode.map_or(u32::from(root.mode), u32::from);
    match root.kind {
        FileKind::File => {
            let within = match !request.into.is_empty() && place.leads_to_directory() {
                true => Some(Place::make(&path.join(path_of(&request.into)))?),
                false => None,
            };
            let place = within.as_ref().unwrap_or(place);
            let path = place.path();
            let mut new = PlacedFile::begin(request, place).during("open", path)?;
            contents(&root, &mut new, &mut incoming, path)?;
            new.finish(mode, incoming.link)?;
            match incoming.next()? {
                None => Ok(()),
                Some(_) => Err(broken("a file has something in it")).during("receive", path),
            }
        }
        FileKind::Directory => {
            if place.found(request.replace).is_err() {
                return Err(is_there()).during("mkdir", path);
            }
            let mut tree = Tree {
                root: place.at(),
                owned: !request.in_place,
                keep_directories: request.keep_directories,
                made: Vec::new(),
                above: Default::default(),
            };
            tree.directory(place.at(), mode, incoming.link)?;
            while let Some(part) = incoming.next()? {
                match part {
                    Part::Entry(entry) => tree.put(&entry, &mut incoming)?,
                    _ => return Err(broken("it is not all there")).during("receive", path),
                }
            }
            tree.leave_until(Path::new(""))
        }
        _ => Err(refusal("it is neither a file nor a directory")).during("receive", path),
    }
}

struct Tree {
    root: PathBuf,
    owned: bool,
    /// No directory that is there is replaced by anything else.
    keep_directories: bool,
    /// The directories on the way that were made, and what mode they get when everything is in them.
    made: Vec<(PathBuf, u32)>,
    /// The directory of the last entry that was looked at, and where it is without links.
    above: (PathBuf, PathBuf),
}

impl Tree {
    fn put(&mut self, entry: &TreeEntry, incoming: &mut Incoming) -> Outcome<()> {
        let at = self.root.join(path_of(&entry.path));
        self.must_be_kept(&at).during("open", &at)?;
        self.leave_until(&at)?;
        let mode = u32::from(entry.mode);
        match entry.kind {
            FileKind::Directory => self.directory(at, mode, incoming.link),
            FileKind::File => self.file(entry, &at, mode, incoming),
            FileKind::Symlink => {
                clear(&at, self.keep_directories, incoming.link)?;
                symlink(path_of(&entry.target), &at).during("symlink", &at)?;
                self.own(&at).during("chown", &at)
            }
            FileKind::Other => {
                Err(refusal("devices, pipes and sockets are not copied")).during("receive", &at)
            }
        }
    }

    /// Refuses what a patch of its own would not do either: links of the image may lead anywhere in it.
    fn must_be_kept(&mut self, at: &Path) -> Result<()> {
        let above = at.parent().unwrap_or(at);
        if self.above.0 != above {
            self.above = (above.to_path_buf(), fs::canonicalize(above)?);
        }
        place::must_be_kept(&self.above.1.join(at.file_name().unwrap_or_default()))
    }

    fn directory(&mut self, at: PathBuf, mode: u32, link: &Link) -> Outcome<()> {
        if fs::metadata(&at).map_or(false, |found| found.is_dir()) {
            return Ok(());
        }
        clear(&at, self.keep_directories, link)?;
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
        incoming: &mut Incoming,
    ) -> Outcome<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(FILE_MODE);
        let mut file = match options.open(at) {
            Err(error) if sys::errno_of(&error) == EEXIST => {
                clear(at, self.keep_directories, incoming.link)?;
                options.open(at)
            }
            opened => opened,
        }
        .during("open", at)?;
        contents(entry, &mut file, incoming, at)?;
        if self.owned && self.made.is_empty() {
            // In a directory that was there, which may give its group to what is in it.
            sys::set_file_owner(&file, Some(0), Some(0)).during("chown", at)?;
        }
        match mode {
            // As most have it.
            FILE_MODE => Ok(()),
            mode => Attributes::mode(Some(mode))
                .apply(&file)
                .during("chmod", at),
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

/// Takes what a file consists of. One that could not be read to its end ends the patch.
fn contents(
    entry: &TreeEntry,
    file: &mut dyn Destination,
    incoming: &mut Incoming,
    path: &Path,
) -> Outcome<()> {
    match incoming.contents(entry, Some(file))? {
        Contained::Whole => Ok(()),
        Contained::Void(_) => Err(broken("a file is not whole")).during("receive", path),
        Contained::Failed(error) => Err(error).during("write", path),
    }
}
