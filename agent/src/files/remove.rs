//! A directory with all that is in it. Links are removed, not followed, whoever makes one meanwhile; and file systems that are
//! mounted below are not entered: what is in them may be the host's.

use super::failed::{During, Outcome};
use super::link::Link;
use super::walk::{Directory, Level};
use crate::sys::{EBUSY, ENOTDIR};
use std::ffi::OsStr;
use std::fs;
use std::io::{Error, Result};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub fn remove_tree(path: &Path, link: &Link) -> Outcome<()> {
    let metadata = fs::symlink_metadata(path).during("remove", path)?;
    if !metadata.is_dir() {
        return Err(Error::from_raw_os_error(ENOTDIR)).during("remove", path);
    }
    let root = Directory::open_itself(path).during("open", path)?;
    // The root itself has itself for its parent, a mount something on another device.
    let parent = fs::metadata(root.at(OsStr::new(".."))).during("stat", path)?;
    if parent.ino() == metadata.ino() || parent.dev() != metadata.dev() {
        return Err(Error::from_raw_os_error(EBUSY)).during("remove", path);
    }
    let mut levels = vec![Level::new(root, Vec::new()).during("list", path)?];
    while let Some(level) = levels.last_mut() {
        let full = path.join(OsStr::from_bytes(&level.path));
        let next = level.next(link).during("list", &full)?;
        match next {
            Some(name) => {
                let below = full.join(&name);
                let entered = remove_or_enter(level, &name, metadata.dev());
                if let Some(deeper) = entered.during("remove", &below)? {
                    levels.push(deeper);
                }
            }
            None => {
                let left = levels.pop().map(|level| level.path).unwrap_or_default();
                match levels.last() {
                    Some(parent) => {
                        let name = left.rsplit(|byte| *byte == b'/').next().unwrap_or(&left);
                        fs::remove_dir(parent.directory.at(OsStr::from_bytes(name)))
                    }
                    None => fs::remove_dir(path),
                }
                .during("remove", &full)?;
            }
        }
    }
    Ok(())
}

/// Removes what is no directory.
fn remove_or_enter(level: &Level, name: &OsStr, device: u64) -> Result<Option<Level>> {
    let at = level.directory.at(name);
    if !fs::symlink_metadata(&at)?.is_dir() {
        return fs::remove_file(&at).map(|()| None);
    }
    let directory = Directory::open_itself(&at)?;
    if directory.metadata()?.dev() != device {
        return Err(Error::from_raw_os_error(EBUSY));
    }
    Level::new(directory, level.below(name)).map(Some)
}
