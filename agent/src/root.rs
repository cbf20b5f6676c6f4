//! The sandbox's root file system: layers, a directory of the host or a disk of the user's, and the move to it.

pub mod disk;
pub mod ext4;
mod skeleton;

use crate::failure::{While, GUEST, MOUNT, PROTOCOL};
use crate::generated::messages::{
    self as messages, BootFailed, DiskFileSystem, LayeredRoot, SharedRoot,
};
use crate::modules::{self, Modules};
use crate::sys;
use std::ffi::CStr;
use std::fs;
use std::io::Result;
use std::os::unix::fs::MetadataExt;
use std::os::unix::io::OwnedFd;
use std::path::Path;

/// File systems whose content is lost memory (linux/magic.h): only of these may the initramfs be emptied.
const RAMFS_MAGIC: i64 = 0x8584_58f6;
const TMPFS_MAGIC: i64 = 0x0102_1994;

const LOWER: &str = "/lower";
const UPPER: &str = "/upper";
/// Where the root is put together before it becomes `/`.
const ROOT: &str = "/root.new";

/// - msize: 125 pages are the most that one message may have (net/9p/trans_virtio.c).
/// - cache=mmap: what the host changes is seen at once and what the guest writes is written at once, and yet programs can
///   map files to write to them (Documentation/filesystems/9p.rst).
const SHARED_OPTIONS: &str = "trans=virtio,version=9p2000.L,msize=512000,cache=mmap";

/// Whose the root file system is.
#[derive(Clone, Copy, PartialEq)]
pub enum Owner {
    Sandbox,
    User,
}

/// The mounts below the root that the end of the guest needs.
pub struct Root {
    pub owner: Owner,
    /// The upper disk's mount, which no path leads to any more. None when there is no upper disk.
    pub upper: Option<OwnedFd>,
}

enum Kind<'a> {
    Layered(&'a LayeredRoot),
    Shared(&'a SharedRoot),
    Disk(&'a DiskFileSystem),
}

fn kind(root: &messages::Root) -> std::result::Result<Kind<'_>, BootFailed> {
    match (&root.layered, &root.shared, &root.disk) {
        (Some(layered), None, None) => Ok(Kind::Layered(layered)),
        (None, Some(shared), None) => Ok(Kind::Shared(shared)),
        (None, None, Some(disk)) => Ok(Kind::Disk(disk)),
        _ => Err(BootFailed {
            step: String::from(PROTOCOL),
            errno: 0,
            message: String::from("the root is not of exactly one kind"),
        }),
    }
}

/// Mounts the root file system and makes it `/`. Leaves an empty initramfs behind.
pub fn enter(root: &messages::Root, modules: &Modules) -> std::result::Result<Root, BootFailed> {
    let kind = kind(root)?;
    create_directory(ROOT).during(GUEST, ROOT)?;
    let owner = match kind {
        Kind::Layered(_) => Owner::Sandbox,
        Kind::Shared(_) | Kind::Disk(_) => Owner::User,
    };
    let upper = match kind {
        Kind::Layered(layered) => {
            let upper = layered.upper_serial.as_deref();
            disk::bind(
                modules,
                std::iter::once(&*layered.lower.serial).chain(upper),
            )?;
            enter_layers(layered)?
        }
        Kind::Shared(shared) => {
            // Its file is about to go, and disks may be mounted later.
            modules.keep(modules::DISK);
            sys::mount(&shared.tag, ROOT, "9p", 0, SHARED_OPTIONS)
                .during(MOUNT, "the host's directory as 9p")?;
            None
        }
        Kind::Disk(disk) => {
            disk::bind(modules, std::iter::once(&*disk.serial))?;
            disk::mount(disk, ROOT, 0, "root disk")?;
            None
        }
    };
    if owner == Owner::User {
        skeleton::complete(ROOT)?;
    }
    switch_root().during(GUEST, "switch to the root file system")?;
    Ok(Root { owner, upper })
}

/// Returns the upper's mount when it is a disk.
fn enter_layers(root: &LayeredRoot) -> std::result::Result<Option<OwnedFd>, BootFailed> {
    for directory in [LOWER, UPPER] {
        create_directory(directory).during(GUEST, directory)?;
    }
    disk::mount(&root.lower, LOWER, sys::MOUNT_READ_ONLY, "lower disk")?;
    match &root.upper_serial {
        Some(serial) => {
            let device = disk::node(serial)?;
            sys::mount(&device, UPPER, "ext4", sys::MOUNT_NO_ATIME, "")
                .during(MOUNT, "upper disk as ext4")?;
            ext4::fill_disk(&device, UPPER).during(MOUNT, "growing the upper disk")?;
        }
        None => {
            let options = format!("mode=0755,size={}m", root.upper_size_mib);
            sys::mount("upper", UPPER, "tmpfs", sys::MOUNT_NO_ATIME, &options)
                .during(MOUNT, "upper in memory")?;
        }
    }
    for directory in ["/upper/upper", "/upper/work"] {
        create_directory(directory).during(MOUNT, directory)?;
    }
    let options = "lowerdir=/lower,upperdir=/upper/upper,workdir=/upper/work,metacopy=off";
    sys::mount("overlay", ROOT, "overlay", 0, options).during(MOUNT, "overlay")?;
    if root.upper_serial.is_none() {
        return Ok(None);
    }
    let path = CStr::from_bytes_with_nul(b"/upper\0").unwrap_or_default();
    sys::open_path(path).during(GUEST, "upper").map(Some)
}

/// Moves the new root over the initramfs, as switch_root(8) does. A plain chroot would do for files, but inside one the
/// kernel refuses user namespaces.
fn switch_root() -> Result<()> {
    let own = fs::read_link("/proc/self/exe")?;
    for mount in ["/dev", "/sys", "/proc"] {
        sys::detach_mount(mount)?;
    }
    empty_initramfs(&own)?;
    std::env::set_current_dir(ROOT)?;
    sys::mount(ROOT, "/", "", sys::MOUNT_MOVE, "")?;
    let here = CStr::from_bytes_with_nul(b".\0").unwrap_or_default();
    sys::change_root(here)?;
    std::env::set_current_dir("/")
}

/// Gives the memory of the initramfs back. Mounts in it stay, and so does the agent's own file: it is in use, and one without a name could
/// not be mounted as a program of the guest's.
fn empty_initramfs(own: &Path) -> Result<()> {
    let magic = sys::file_system("/")?.magic;
    if magic != RAMFS_MAGIC && magic != TMPFS_MAGIC {
        return Ok(());
    }
    let device = fs::metadata("/")?.dev();
    for entry in fs::read_dir("/")?.flatten() {
        let metadata = entry.metadata()?;
        if metadata.dev() != device || entry.path() == own {
            continue;
        }
        // What cannot be removed costs memory and nothing else.
        let _ = if metadata.is_dir() {
            fs::remove_dir_all(entry.path())
        } else {
            fs::remove_file(entry.path())
        };
    }
    Ok(())
}

/// Makes a directory unless there is one.
pub fn create_directory(path: &str) -> Result<()> {
    if fs::metadata(path).map_or(false, |metadata| metadata.is_dir()) {
        return Ok(());
    }
    fs::create_dir_all(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_of_exactly_one_kind() {
        let mut root = messages::Root {
            layered: None,
            shared: None,
            disk: None,
        };
        assert!(kind(&root).is_err());
        root.shared = Some(SharedRoot { tag: String::new() });
        assert!(kind(&root).is_ok());
        root.disk = Some(DiskFileSystem {
            serial: String::new(),
            fs_type: String::new(),
        });
        assert!(kind(&root).is_err());
    }
}
