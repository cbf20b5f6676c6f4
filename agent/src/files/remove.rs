//! A directory with all that is in it. Links are removed, not followed, whoever makes one meanwhile; and file systems that are
//! mounted below are not entered: what is in them may be the host's.

use super::failed::{During, Outcome};
use super::link::Link;
use super::walk::{Directory, Way};
use crate::sys::{EBUSY, EINVAL, ENOTDIR};
use std::ffi::OsStr;
use std::fs;
use std::io::{Error, Result};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Bytes; PATH_MAX.
const MOST_SHOWN: usize = 4096;

pub fn remove_tree(path: &Path, link: &Link) -> Outcome<()> {
    // With a slash at its end it would lead through a link.
    let path = path.components().as_path();
    if let Some(Component::ParentDir) = path.components().next_back() {
        return Err(Error::from_raw_os_error(EINVAL)).during("remove", path);
    }
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
    let mut way = Way::new();
    way.enter(root, OsStr::new("")).during("list", path)?;
    while way.depth() > 0 {
        match way.next(link).during("list", shown(path, way.path()))? {
            Some(name) => {
                let removed = remove_or_enter(&mut way, &name, metadata.dev());
                removed.during("remove", shown(path, &way.below(&name)))?;
            }
            None => {
                let left = shown(path, way.path());
                let name = way.leave();
                match way.depth() {
                    0 => fs::remove_dir(path),
                    _ => way
                        .directory()
                        .and_then(|parent| fs::remove_dir(parent.at(&name))),
                }
                .during("remove", left)?;
            }
        }
    }
    Ok(())
}

/// Removes what is no directory, and enters what is one.
fn remove_or_enter(way: &mut Way, name: &OsStr, device: u64) -> Result<()> {
    let at = way.directory()?.at(name);
    if !fs::symlink_metadata(&at)?.is_dir() {
        return fs::remove_file(&at);
    }
    let directory = Directory::open_itself(&at)?;
    if directory.metadata()?.dev() != device {
        return Err(Error::from_raw_os_error(EBUSY));
    }
    way.enter(directory, name)
}

/// What to call what is below a path; of a very deep one the beginning.
fn shown(path: &Path, below: &[u8]) -> PathBuf {
    path.join(OsStr::from_bytes(&below[..below.len().min(MOST_SHOWN)]))
}
