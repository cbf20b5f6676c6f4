//! What a file is, beside what is in it.

use super::failed::{path_of, refusal, During, Outcome};
use crate::generated::messages::{FileKind, FileMakeDirectory, FileMetadata, TreeEntry};
use crate::sys::{EISDIR, O_NONBLOCK};
use std::fs::{self, File, FileType, Metadata, OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

pub fn stat(path: &Path, follow: bool) -> Outcome<FileMetadata> {
    let metadata = match follow {
        true => fs::metadata(path),
        false => fs::symlink_metadata(path),
    }
    .during("stat", path)?;
    let created = metadata
        .created()
        .ok()
        .map(|time| match time.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i64,
            Err(before) => -(before.duration().as_nanos() as i64),
        });
    Ok(FileMetadata {
        created_ns: created,
        links: metadata.nlink(),
        entry: entry(Vec::new(), path, &metadata),
    })
}

/// An entry of a tree. `at` leads to it now, `path` is what it is called.
pub fn entry(path: Vec<u8>, at: &Path, metadata: &Metadata) -> TreeEntry {
    let kind = kind(metadata.file_type());
    let target = match kind {
        FileKind::Symlink => fs::read_link(at)
            .map(|target| target.as_os_str().as_bytes().to_vec())
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    TreeEntry {
        path,
        kind,
        mode: (metadata.mode() & 0o7777) as u16,
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime_ns: metadata
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.mtime_nsec()),
        size: metadata.size(),
        target,
    }
}

fn kind(file_type: FileType) -> FileKind {
    if file_type.is_file() {
        FileKind::File
    } else if file_type.is_dir() {
        FileKind::Directory
    } else if file_type.is_symlink() {
        FileKind::Symlink
    } else {
        FileKind::Other
    }
}

/// What files have when nobody says otherwise.
pub const FILE_MODE: u32 = 0o644;

/// Opens a regular file and nothing else: a pipe or a device could wait, or do something.
pub fn open_regular(path: &Path, options: &OpenOptions, flags: i32) -> Result<(File, Metadata)> {
    must_be_regular(&fs::metadata(path)?)?;
    let file = options
        .clone()
        .custom_flags(O_NONBLOCK | flags)
        .open(path)?;
    let metadata = file.metadata()?;
    must_be_regular(&metadata)?;
    Ok((file, metadata))
}

pub fn must_be_regular(metadata: &Metadata) -> Result<()> {
    if metadata.is_dir() {
        Err(Error::from_raw_os_error(EISDIR))
    } else if !metadata.is_file() {
        Err(refusal("Not a regular file"))
    } else {
        Ok(())
    }
}

pub fn set_mode(path: &Path, mode: u16) -> Outcome<()> {
    fs::set_permissions(path, Permissions::from_mode(mode.into())).during("chmod", path)
}

pub fn truncate(path: &Path, size: u64) -> Outcome<()> {
    let (file, _) = open_regular(path, OpenOptions::new().write(true), 0).during("open", path)?;
    file.set_len(size).during("truncate", path)
}

pub fn make_directory(request: &FileMakeDirectory) -> Outcome<()> {
    let path = path_of(&request.path);
    if let (true, Some(parent)) = (request.parents, path.parent()) {
        fs::create_dir_all(parent).during("mkdir", path)?;
    }
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if request.parents && error.kind() == ErrorKind::AlreadyExists => {
            return match fs::metadata(path) {
                Ok(metadata) if metadata.is_dir() => Ok(()),
                _ => Err(error).during("mkdir", path),
            }
        }
        error => error.during("mkdir", path)?,
    }
    match request.mode {
        Some(mode) => set_mode(path, mode),
        None => Ok(()),
    }
}
