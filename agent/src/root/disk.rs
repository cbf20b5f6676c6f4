//! Disks of the root: found by their serial numbers, mounted as what they hold.

use crate::failure::{While, MOUNT};
use crate::messages_generated::{BootFailed, DiskFileSystem};
use crate::sys::{self, EINVAL, ENODEV};
use std::fmt::Display;
use std::fs;
use std::io::{Error, Result};
use std::path::Path;
use std::time::{Duration, Instant};

const DISK_TIMEOUT: Duration = Duration::from_secs(5);
const DISK_RETRY: Duration = Duration::from_millis(5);

/// Mounts a disk; without a type, as the first file system of the kernel's that fits.
pub fn mount(
    disk: &DiskFileSystem,
    target: &str,
    flags: u64,
    what: &str,
) -> std::result::Result<(), BootFailed> {
    let device = wait_for(&disk.serial)?;
    if disk.fs_type.is_empty() {
        return probe(&device, target, flags, what);
    }
    let fs_type = &disk.fs_type;
    sys::mount(&device, target, fs_type, flags, "")
        .during(MOUNT, format_args!("{what} as {fs_type}"))
}

fn probe(
    device: &str,
    target: &str,
    flags: u64,
    what: &str,
) -> std::result::Result<(), BootFailed> {
    let known = fs::read_to_string("/proc/filesystems").during(MOUNT, "/proc/filesystems")?;
    let candidates = candidates(&known);
    // A file system that finds itself, but not in order, says something else than EINVAL.
    let mut damaged = None;
    for fs_type in &candidates {
        match sys::mount(device, target, fs_type, flags, "") {
            Ok(()) => return Ok(()),
            Err(error) if sys::errno_of(&error) == EINVAL => {}
            Err(error) => {
                let _ = damaged.get_or_insert((fs_type, error));
            }
        }
    }
    if let Some((fs_type, error)) = damaged {
        return Err(error).during(MOUNT, format_args!("{what} as {fs_type}"));
    }
    let nothing_fits = Err(Error::from_raw_os_error(EINVAL));
    if has_partitions(device) {
        return nothing_fits.during(MOUNT, format_args!("{what}: it is divided into partitions"));
    }
    let tried = candidates.join(", ");
    nothing_fits.during(MOUNT, unknown_content(what, &tried))
}

fn unknown_content(what: &str, tried: &str) -> impl Display {
    format!("{what}: it holds no file system that this kernel knows (tried {tried})")
}

/// The file systems that live on disks, ext4 first, from the lines of proc(5)'s filesystems.
fn candidates(known: &str) -> Vec<&str> {
    let on_disk = known
        .lines()
        .filter(|line| !line.starts_with("nodev"))
        .map(str::trim)
        .filter(|name| !name.is_empty() && *name != "ext4");
    std::iter::once("ext4").chain(on_disk).collect()
}

/// A disk's partitions are directories in its own, with its name at the beginning of theirs.
fn has_partitions(device: &str) -> bool {
    let name = device.trim_start_matches("/dev/");
    fs::read_dir(Path::new("/sys/block").join(name)).map_or(false, |entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with(name))
    })
}

/// The device node of the disk with this serial number. Its driver may still be busy with it.
pub fn wait_for(serial: &str) -> std::result::Result<String, BootFailed> {
    let deadline = Instant::now() + DISK_TIMEOUT;
    loop {
        if let Some(device) = find(serial).during(MOUNT, "/sys/block")? {
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

fn find(serial: &str) -> Result<Option<String>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_ext4_first_and_nothing_that_has_no_disk() {
        let known = "nodev\tsysfs\n\text3\n\text4\nnodev\toverlay\n\terofs\n\n";
        assert_eq!(candidates(known), ["ext4", "ext3", "erofs"]);
        assert_eq!(candidates(""), ["ext4"]);
    }
}
