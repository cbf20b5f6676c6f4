//! The directories that a root of the user's may lack: what is mounted later needs them.

use crate::failure::{While, MOUNT};
use crate::generated::messages::BootFailed;
use crate::guest::places::make_directory;
use crate::sys::{self, EROFS};
use std::fs;
use std::io::{ErrorKind, Result};

/// Names in the root, with modes.
const DIRECTORIES: [(&str, u32); 7] = [
    ("proc", 0o755),
    ("sys", 0o755),
    ("dev", 0o755),
    ("run", 0o755),
    ("tmp", 0o1777),
    ("etc", 0o755),
    (".msb", 0o755),
];
const SKELETON: &str = "/skeleton";

/// Makes those that are missing in a mounted root. One that cannot be written, such as EROFS, gets them from memory, through an
/// overlay that cannot be written either. What else goes wrong shows when there is something to mount.
pub fn complete(root: &str) -> std::result::Result<(), BootFailed> {
    let missing: Vec<(&str, u32)> = DIRECTORIES
        .into_iter()
        .filter(|(name, mode)| is_missing_for_good(&format!("{root}/{name}"), *mode))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    overlay(root, &missing).during(MOUNT, "directories that the root does not have")
}

fn is_missing_for_good(path: &str, mode: u32) -> bool {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => make_directory(path, mode)
            .map_or_else(|error| sys::errno_of(&error) == EROFS, |()| false),
        _ => false,
    }
}

fn overlay(root: &str, missing: &[(&str, u32)]) -> Result<()> {
    super::create_directory(SKELETON)?;
    // A mount of its own: the initramfs around it is going to be emptied.
    sys::mount("skeleton", SKELETON, "tmpfs", 0, "mode=0755")?;
    for (name, mode) in missing {
        make_directory(&format!("{SKELETON}/{name}"), *mode)?;
    }
    let options = format!("lowerdir={SKELETON}:{root}");
    sys::mount("overlay", root, "overlay", 0, &options)
}
