//! The sandbox's root file system: a shared read-only lower, a private upper, an overlay of the two, and the move to it.

use crate::failure::{While, GUEST, MOUNT};
use crate::messages_generated::{BootFailed, RootDisk};
use crate::sys::{self, ENODEV};
use std::ffi::CStr;
use std::fs;
use std::io::Result;
use std::os::unix::fs::MetadataExt;
use std::os::unix::io::OwnedFd;
use std::time::{Duration, Instant};

const DISK_TIMEOUT: Duration = Duration::from_secs(5);
const DISK_RETRY: Duration = Duration::from_millis(5);

/// File systems whose content is lost memory (linux/magic.h): only of these may the initramfs be emptied.
const RAMFS_MAGIC: i64 = 0x8584_58f6;
const TMPFS_MAGIC: i64 = 0x0102_1994;

const LOWER: &str = "/lower";
const UPPER: &str = "/upper";
const ROOT: &str = "/root.overlay";

/// The mounts below the root that the end of the guest needs.
pub struct Root {
    /// The upper's mount, which no path leads to any more.
    pub upper: OwnedFd,
}

/// Mounts the root file system from its two disks and makes it `/`. Leaves an empty initramfs behind.
pub fn enter(disks: &RootDisk) -> std::result::Result<Root, BootFailed> {
    let lower = wait_for_disk(&disks.lower_serial)?;
    let upper = wait_for_disk(&disks.upper_serial)?;
    let directories = [LOWER, UPPER, ROOT];
    for directory in directories {
        create_directory(directory).during(GUEST, directory)?;
    }
    let fs_type = &disks.lower_fs_type;
    sys::mount(&lower, LOWER, fs_type, sys::MOUNT_READ_ONLY, "")
        .during(MOUNT, format_args!("lower disk as {fs_type}"))?;
    sys::mount(&upper, UPPER, "ext4", sys::MOUNT_NO_ATIME, "")
        .during(MOUNT, "upper disk as ext4")?;
    for directory in ["/upper/upper", "/upper/work"] {
        create_directory(directory).during(MOUNT, directory)?;
    }
    let options = "lowerdir=/lower,upperdir=/upper/upper,workdir=/upper/work,metacopy=off";
    sys::mount("overlay", ROOT, "overlay", 0, options).during(MOUNT, "overlay")?;
    let path = CStr::from_bytes_with_nul(b"/upper\0").unwrap_or_default();
    let upper = sys::open_path(path).during(GUEST, "upper")?;
    switch_root().during(GUEST, "switch to the root file system")?;
    Ok(Root { upper })
}

/// The device node of the disk with this serial number. Its driver may still be busy with it.
fn wait_for_disk(serial: &str) -> std::result::Result<String, BootFailed> {
    let deadline = Instant::now() + DISK_TIMEOUT;
    loop {
        if let Some(device) = find_disk(serial).during(MOUNT, "/sys/block")? {
            return Ok(device);
        }
        if Instant::now() >= deadline {
            return Err(BootFailed {
                step: String::from(MOUNT),
                errno: ENODEV,
                message: format!("no disk has the serial number '{serial}'"),
            });
        }
        std::thread::sleep(DISK_RETRY);
    }
}

fn find_disk(serial: &str) -> Result<Option<String>> {
    for entry in fs::read_dir("/sys/block")?.flatten() {
        let found = fs::read_to_string(entry.path().join("serial")).unwrap_or_default();
        if found.trim_end() == serial {
            return Ok(Some(format!(
                "/dev/{}",
                entry.file_name().to_string_lossy()
            )));
        }
    }
    Ok(None)
}

/// Moves the new root over the initramfs, as switch_root(8) does. A plain chroot would do for files, but inside one the
/// kernel refuses user namespaces.
fn switch_root() -> Result<()> {
    for mount in ["/dev", "/sys", "/proc"] {
        sys::detach_mount(mount)?;
    }
    empty_initramfs()?;
    std::env::set_current_dir(ROOT)?;
    sys::mount(ROOT, "/", "", sys::MOUNT_MOVE, "")?;
    let here = CStr::from_bytes_with_nul(b".\0").unwrap_or_default();
    sys::change_root(here)?;
    std::env::set_current_dir("/")
}

/// Gives the memory of the initramfs back. Mounts in it stay.
fn empty_initramfs() -> Result<()> {
    let magic = sys::file_system("/")?.magic;
    if magic != RAMFS_MAGIC && magic != TMPFS_MAGIC {
        return Ok(());
    }
    let device = fs::metadata("/")?.dev();
    for entry in fs::read_dir("/")?.flatten() {
        let metadata = entry.metadata()?;
        if metadata.dev() != device {
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
