//! New contents for a file, all at once: written aside, then renamed over it. Whoever reads meanwhile sees the old ones to the
//! end, and so does everybody when the writing is given up.
//!
//! Where a file cannot be replaced (a mount of its own, a directory that takes no other name, a file system such as proc) it is
//! written in place, from the first byte on that comes. A full disk is no such place: there the old contents are worth more.

use super::attributes::{must_be_regular, open_regular, FILE_MODE};
use super::failed::{path_of, During, Outcome};
use super::link::Link;
use super::target::{fill, Destination};
use super::walk::Directory;
use crate::generated::messages::{FileCopy, FileOpened, FileWrite, Message};
use crate::sys::{
    self, EACCES, EBUSY, EISDIR, ELOOP, ENOENT, ENOSYS, EOPNOTSUPP, EPERM, EROFS, EXDEV,
};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{Error, Read, Result, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What a file gets beside its contents. None: what was there, or as new files are.
#[derive(Clone, Copy, Default)]
pub struct Attributes {
    pub mode: Option<u32>,
    pub owner: Option<(u32, u32)>,
    /// Nanoseconds since 1970.
    pub modified: Option<i64>,
}

impl Attributes {
    pub fn mode(mode: Option<u32>) -> Attributes {
        Attributes {
            mode,
            ..Attributes::default()
        }
    }

    /// The owner goes first: its change takes special bits of the mode away.
    pub fn apply(&self, file: &File) -> Result<()> {
        if let Some((uid, gid)) = self.owner {
            sys::set_file_owner(file, Some(uid), Some(gid))?;
        }
        if let Some(mode) = self.mode {
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        match self.modified {
            Some(time) => sys::set_modified(file, time),
            None => Ok(()),
        }
    }
}

/// As many as the kernel follows (path_resolution(7)).
const MOST_LINKS: usize = 40;
/// Bytes that are copied before it is asked whether to go on.
const SLICE: u64 = 4 << 20;

pub fn write(request: &FileWrite, link: &mut Link) -> Outcome<()> {
    let path = path_of(&request.path);
    let mut new = Replacement::begin(path).during("open", path)?;
    link.tell(Message::FileOpened(FileOpened { size: 0 }));
    let written = fill(&mut new, path, link).and_then(|()| {
        let mode = request.mode.map(u32::from);
        new.finish(Attributes::mode(mode)).during("write", path)
    });
    new.explain(written)
}

pub fn copy(request: &FileCopy, link: &Link) -> Outcome<()> {
    let (from, to) = (path_of(&request.from), path_of(&request.to));
    let (mut source, metadata) =
        open_regular(from, OpenOptions::new().read(true), 0).during("open", from)?;
    let mut new = Replacement::begin(to).during("open", to)?;
    let copied = new
        .file()
        .and_then(|file| copy_sparsely(&mut source, file, &|| link.check()))
        .during("copy", from)
        .and_then(|()| {
            let mode = Some(metadata.mode() & 0o7777);
            new.finish(Attributes::mode(mode)).during("write", to)
        });
    new.explain(copied)
}

/// Copies to the end, and leaves holes.
fn copy_sparsely(from: &mut File, to: &mut File, check: &dyn Fn() -> Result<()>) -> Result<()> {
    let size = from.metadata()?.len();
    if size == 0 {
        // Files of proc say so, whatever is in them.
        return copy_stretch(from, to, (0, u64::MAX), check).map(drop);
    }
    let mut at = 0;
    while at < size {
        // What knows nothing of holes has data only.
        let (start, end) = match sys::next_data(from, at).unwrap_or(Some((at, size))) {
            Some(stretch) => stretch,
            None => break,
        };
        at = copy_stretch(from, to, (start, end), check)?;
        if at < end {
            // It has become shorter meanwhile.
            return to.set_len(at);
        }
    }
    to.set_len(size.max(at))
}

/// Returns how far it came.
fn copy_stretch(
    from: &mut File,
    to: &mut File,
    (mut at, end): (u64, u64),
    check: &dyn Fn() -> Result<()>,
) -> Result<u64> {
    from.seek(SeekFrom::Start(at))?;
    to.seek(SeekFrom::Start(at))?;
    while at < end {
        check()?;
        match std::io::copy(&mut from.take(SLICE.min(end - at)), to)? {
            0 => break,
            count => at += count,
        }
    }
    Ok(at)
}

pub struct Replacement {
    directory: Directory,
    name: OsString,
    /// Of the new file, until it has its own.
    aside: Option<PathBuf>,
    file: File,
    old: Option<Metadata>,
    /// What was in the old file is there no more, and the new contents are not all there yet.
    old_is_lost: bool,
}

impl Replacement {
    /// Begins new contents for what a path leads to, links followed.
    pub fn begin(path: &Path) -> Result<Replacement> {
        let (target, old) = resolve(path)?;
        let name = target
            .file_name()
            .ok_or_else(|| Error::from_raw_os_error(EISDIR))?;
        let directory = Directory::open(target.parent().unwrap_or_else(|| Path::new("/")))?;
        Replacement::in_directory(directory, name, old)
    }

    /// The same for a name in a directory. What is there by that name must be a regular file.
    pub fn in_directory(
        directory: Directory,
        name: &OsStr,
        old: Option<Metadata>,
    ) -> Result<Replacement> {
        let aside = directory.at(&aside_name()?);
        let new = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&aside);
        let (file, aside) = match (new, &old) {
            (Ok(file), _) => (file, Some(aside)),
            (Err(error), Some(_)) if takes_no_names(&error) => {
                let mut in_place = OpenOptions::new();
                in_place.read(true).write(true);
                let at = directory.at(name);
                match open_regular(&at, &in_place, 0) {
                    Ok((file, _)) => (file, None),
                    // proc and sys have files that can only be written.
                    Err(_) => (open_regular(&at, in_place.read(false), 0)?.0, None),
                }
            }
            (Err(error), _) => return Err(error),
        };
        Ok(Replacement {
            directory,
            name: name.to_os_string(),
            aside,
            file,
            old,
            old_is_lost: false,
        })
    }

    /// Puts it in its place. Mode and owner are those of what was there, unless others are asked for.
    pub fn finish(&mut self, wanted: Attributes) -> Result<()> {
        let aside = match &self.aside {
            Some(aside) => aside.clone(),
            None => {
                self.file()?;
                wanted.apply(&self.file)?;
                self.old_is_lost = false;
                return Ok(());
            }
        };
        let old = self.old.as_ref();
        let kept = Attributes {
            mode: Some(old.map_or(FILE_MODE, |old| old.mode() & 0o7777)),
            owner: old
                .map(|old| (old.uid(), old.gid()))
                .filter(|owner| *owner != (0, 0)),
            modified: None,
        };
        let attributes = Attributes {
            mode: wanted.mode.or(kept.mode),
            owner: wanted.owner.or(kept.owner),
            modified: wanted.modified,
        };
        let set = attributes.apply(&self.file);
        match set {
            // It cannot be made such as the old one is.
            Err(error) if old.is_some() && takes_no_names(&error) => {
                return self.write_in_place(wanted)
            }
            set => set?,
        }
        match fs::rename(&aside, self.directory.at(&self.name)) {
            Ok(()) => {
                self.aside = None;
                Ok(())
            }
            Err(error) if self.old.is_some() && is_mount(&error) => self.write_in_place(wanted),
            Err(error) => Err(error),
        }
    }

    /// For what cannot be replaced, such as a file with a mount of its own.
    fn write_in_place(&mut self, wanted: Attributes) -> Result<()> {
        let at = self.directory.at(&self.name);
        let (mut target, _) = open_regular(&at, OpenOptions::new().write(true), 0)?;
        self.old_is_lost = true;
        empty(&target)?;
        copy_sparsely(&mut self.file, &mut target, &|| Ok(()))?;
        wanted.apply(&target)?;
        self.old_is_lost = false;
        Ok(())
    }

    /// Says it when what failed has cost the old contents.
    pub fn explain<T>(&self, outcome: Outcome<T>) -> Outcome<T> {
        match self.old_is_lost {
            true => outcome.map_err(|failed| {
                failed.and("the file could only be written in place: what was in it is lost")
            }),
            false => outcome,
        }
    }
}

impl Destination for Replacement {
    fn file(&mut self) -> Result<&mut File> {
        if self.aside.is_none() && !self.old_is_lost {
            self.old_is_lost = true;
            empty(&self.file)?;
        }
        Ok(&mut self.file)
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if let Some(aside) = &self.aside {
            let _ = fs::remove_file(aside);
        }
    }
}

/// Files of proc and sys say that they are empty, and some of them cannot be made so.
fn empty(file: &File) -> Result<()> {
    match file.metadata()?.len() {
        0 => Ok(()),
        _ => file.set_len(0),
    }
}

/// Whether it is the place that does not let a file be replaced. Anything else, such as a full disk, must not cost the old one.
fn takes_no_names(error: &Error) -> bool {
    [EACCES, ENOENT, ENOSYS, EOPNOTSUPP, EPERM, EROFS].contains(&sys::errno_of(error))
}

fn is_mount(error: &Error) -> bool {
    [EBUSY, EXDEV].contains(&sys::errno_of(error))
}

/// Where a file is or is to be, and what is there: a link that leads nowhere says where one is to be made.
fn resolve(path: &Path) -> Result<(PathBuf, Option<Metadata>)> {
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        match fs::metadata(&path) {
            Ok(metadata) => {
                must_be_regular(&metadata)?;
                return Ok((fs::canonicalize(&path)?, Some(metadata)));
            }
            Err(error) if sys::errno_of(&error) != ENOENT => return Err(error),
            Err(_) => {}
        }
        match fs::read_link(&path) {
            // An absolute target takes the place of all before it.
            Ok(target) => path = path.parent().unwrap_or_else(|| Path::new("/")).join(target),
            Err(_) if names_directory(&path) => return Err(Error::from_raw_os_error(EISDIR)),
            Err(_) => return Ok((path, None)),
        }
    }
    Err(Error::from_raw_os_error(ELOOP))
}

/// Whether a path can only be a directory's, as open(2) has it. Its last name does not tell: Path drops what follows it.
pub fn names_directory(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes.ends_with(b"/") || bytes.ends_with(b"/.")
}

/// A name that nobody else uses.
pub fn aside_name() -> Result<OsString> {
    let mut random = [0; 8];
    sys::random(&mut random)?;
    Ok(format!(".msb-{:016x}", u64::from_ne_bytes(random)).into())
}

#[cfg(test)]
mod tests;
