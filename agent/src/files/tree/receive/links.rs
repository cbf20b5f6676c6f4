//! Links in a tree that is received: which of them lead on, and how symbolic links and further names of files get their places.

use crate::files::replace::aside_name;
use crate::files::walk::{id_of, Directory};
use crate::sys::EISDIR;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The symbolic links that the tree itself has brought, by device and inode. They are root's, and yet they are not followed:
/// whoever made an archive is not to lead out of the place where it is unpacked.
#[derive(Default)]
pub struct MadeLinks {
    ids: RefCell<BTreeSet<(u64, u64)>>,
}

impl MadeLinks {
    pub fn add(&self, at: &Path) -> Result<()> {
        let id = id_of(&fs::symlink_metadata(at)?);
        self.ids.borrow_mut().insert(id);
        Ok(())
    }

    /// Opens a directory in another one. A link to one is followed if root has made it, as in `/lib`, and not with this tree.
    pub fn open_below(&self, directory: &Directory, name: &OsStr) -> Result<Directory> {
        let at = directory.at(name);
        match Directory::open_itself(&at) {
            Ok(directory) => Ok(directory),
            Err(error) => match fs::symlink_metadata(&at) {
                Ok(link) if self.leads_on(&link) => Directory::open(&at),
                _ => Err(error),
            },
        }
    }

    /// The directory that these names lead to; None for the one in which they begin.
    pub fn open_way(&self, from: &Directory, names: &[&[u8]]) -> Result<Option<Directory>> {
        let mut reached = None;
        for name in names {
            let at = reached.as_ref().unwrap_or(from);
            reached = Some(self.open_below(at, OsStr::from_bytes(name))?);
        }
        Ok(reached)
    }

    fn leads_on(&self, metadata: &Metadata) -> bool {
        metadata.is_symlink()
            && metadata.uid() == 0
            && !self.ids.borrow().contains(&id_of(metadata))
    }
}

/// Makes a link, symbolic or hard, in the place of what has its name; anything but a directory. `make` makes it at a path.
pub fn put(directory: &Directory, name: &OsStr, make: impl Fn(&Path) -> Result<()>) -> Result<()> {
    let at = directory.at(name);
    match make(&at) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if fs::symlink_metadata(&at)?.is_dir() {
                return Err(Error::from_raw_os_error(EISDIR));
            }
            let aside = directory.at(&aside_name()?);
            make(&aside)?;
            let renamed = fs::rename(&aside, &at);
            // Nothing is there any more, unless that failed or both are names of one file: rename(2) leaves these as they are.
            let _ = fs::remove_file(&aside);
            renamed
        }
        made => made,
    }
}
