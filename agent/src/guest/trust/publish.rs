//! Files of a root that get other contents: in their own place where the root is the sandbox's, else in memory, mounted over
//! them. Nothing is written to a root of the user's, and nothing through a mount: there is none of his yet.

use crate::guest::{files, places};
use crate::root::Owner;
use crate::sys::{self, EINVAL, ENOTDIR, O_NOFOLLOW, O_NONBLOCK};
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Bytes that are read of a file; stores of certificates have some hundreds of KiB.
const LONGEST: u64 = 16 << 20;
/// Beside a file until it is complete.
const ASIDE: &str = ".microsandbox-new";

/// A file of the root, found through whatever links lead to it.
pub struct Existing {
    pub path: PathBuf,
    pub content: Vec<u8>,
    metadata: Metadata,
}

/// Finds a regular file and reads it. None: there is none of a size that such files have.
pub fn read(path: impl AsRef<Path>) -> Option<Existing> {
    let path = fs::canonicalize(path).ok()?;
    let metadata = fs::symlink_metadata(&path).ok()?;
    if !metadata.is_file() || metadata.len() > LONGEST {
        return None;
    }
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK);
    let mut content = Vec::with_capacity(metadata.len() as usize + 1);
    let file = options.open(&path).ok()?;
    file.take(LONGEST).read_to_end(&mut content).ok()?;
    Some(Existing {
        path,
        content,
        metadata,
    })
}

/// Gives a file other contents. `memory`: where they are if they cannot be in its own place.
///
/// `top` is the root: the files of other file systems, such as those of the kernel, are not its own.
pub fn replace(
    top: &str,
    owner: Owner,
    old: &Existing,
    content: &[u8],
    memory: &str,
) -> Result<()> {
    let durable = match owner {
        Owner::Sandbox => write_beside(top, old, content),
        Owner::User => Err(Error::from(ErrorKind::PermissionDenied)),
    };
    durable.or_else(|error| {
        if owner == Owner::Sandbox {
            eprintln!("agent: {} is in memory: {error}", old.path.display());
        }
        write_new(memory, content, &old.metadata)?;
        let path = old.path.to_str().ok_or_else(invalid)?;
        files::mount_over(memory, path)
    })
}

fn invalid() -> Error {
    Error::from_raw_os_error(EINVAL)
}

/// Whoever reads meanwhile, or after a sudden end, has the one or the other.
fn write_beside(top: &str, old: &Existing, content: &[u8]) -> Result<()> {
    let directory = old.path.parent().ok_or_else(invalid)?;
    let root = fs::metadata(format!("{top}/"))?;
    if fs::metadata(directory)?.dev() != root.dev() {
        return Err(Error::from_raw_os_error(ENOTDIR));
    }
    let aside = directory.join(ASIDE);
    let path = aside.to_str().ok_or_else(invalid)?;
    write_new(path, content, &old.metadata)
        .and_then(|()| fs::rename(&aside, &old.path))
        .map_err(|error| {
            let _ = fs::remove_file(&aside);
            error
        })
}

/// Writes a file that has the owner and the mode of another one. What has its name goes.
fn write_new(path: &str, content: &[u8], like: &Metadata) -> Result<()> {
    places::claim_file(path, 0o600)?;
    let mut file = places::open_claimed(path)?;
    sys::set_file_owner(&file, Some(like.uid()), Some(like.gid()))?;
    file.set_permissions(Permissions::from_mode(like.mode() & 0o777))?;
    begin(&file)?;
    file.write_all(content)
}

/// A file that is renamed, and whose guest is killed before its content is on the disk, would be an empty one afterwards. ext4
/// brings what was cut to nothing to the disk when it is closed (auto_da_alloc, ext4(5)), for which nobody has to wait.
fn begin(file: &File) -> Result<()> {
    file.set_len(0)
}

/// Writes a file of the agent's own in the place of whatever has its name, with the directories above it.
pub fn write_own(path: &str, content: &[u8]) -> Result<()> {
    let is_there = |found: Metadata| found.is_file() && found.len() == content.len() as u64;
    if fs::symlink_metadata(path).map_or(false, is_there) && fs::read(path)? == content {
        return Ok(());
    }
    let parent = Path::new(path).parent().unwrap_or_else(|| Path::new("/"));
    places::make_directories(parent, 0o755)?;
    let aside = parent.join(ASIDE);
    let name = aside.to_str().ok_or_else(invalid)?;
    places::claim_file(name, 0o644)
        .and_then(|()| {
            let mut file = places::open_claimed(name)?;
            begin(&file)?;
            file.write_all(content)
        })
        .and_then(|()| match places::is_directory(path) {
            true => places::remove(path),
            false => Ok(()),
        })
        .and_then(|()| fs::rename(name, path))
        .map_err(|error| {
            let _ = fs::remove_file(name);
            error
        })
}
