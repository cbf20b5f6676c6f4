//! Disks, of the root and mounted later: found by their serial numbers, mounted as what they hold.

use crate::failure::{While, MOUNT};
use crate::generated::messages::{BootFailed, DiskFileSystem};
use crate::modules::{self, Modules};
use crate::sys::{self, EINVAL, ENODEV};
use std::fmt::Display;
use std::fs;
use std::io::{Error, Result};
use std::path::Path;

const BUS: &str = "/sys/bus/virtio";
const DRIVER: &str = "/sys/bus/virtio/drivers/virtio_blk";
/// VIRTIO_ID_BLOCK (virtio 1.2, 5), as sysfs shows it.
const DISK_TYPE: &str = "0x0002";

/// Mounts a disk; without a type, as the first file system of the kernel's that fits.
pub fn mount(
    disk: &DiskFileSystem,
    target: &str,
    flags: u64,
    what: &str,
) -> std::result::Result<(), BootFailed> {
    let device = node(&disk.serial)?;
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

/// Keeps all disks from their driver until [bind] gives it those that are used. To be done before the guest can be saved as a
/// template: what is behind a disk is decided after that, and the driver reads a disk's size, and agrees with QEMU on what can
/// be done with it, only once, when it gets it. A driver that is built into the kernel has them by now, and has to let go. See
/// Documentation/ABI/testing/sysfs-bus-pci for `bind` and `unbind`, which all buses have alike.
pub fn hold_back() -> Result<()> {
    fs::write(BUS.to_owned() + "/drivers_autoprobe", "0")?;
    if !Path::new(DRIVER).exists() {
        return Ok(());
    }
    for device in devices()? {
        match fs::write(DRIVER.to_owned() + "/unbind", &device) {
            // The driver did not want it.
            Err(error) if sys::errno_of(&error) == ENODEV => {}
            result => result?,
        }
    }
    Ok(())
}

/// Gives the disks with these serial numbers to their driver, and leaves the others alone: a guest has more of them than are in
/// use.
pub fn bind<'a>(
    modules: &Modules,
    serials: impl Iterator<Item = &'a str>,
) -> std::result::Result<(), BootFailed> {
    let mut missing: Vec<&str> = serials.collect();
    if !Path::new(DRIVER).exists() {
        modules.load(modules::DISK);
    }
    for device in devices().during(MOUNT, BUS)? {
        if missing.is_empty() {
            break;
        }
        // Those of the root, when others come after it.
        if Path::new(BUS)
            .join("devices")
            .join(&device)
            .join("driver")
            .exists()
        {
            continue;
        }
        fs::write(DRIVER.to_owned() + "/bind", &device).during(MOUNT, &device)?;
        let serial = serial_of(&device);
        match missing.iter().position(|wanted| *wanted == serial) {
            Some(found) => drop(missing.swap_remove(found)),
            None => {
                let _ = fs::write(DRIVER.to_owned() + "/unbind", &device);
            }
        }
    }
    match missing.first() {
        None => Ok(()),
        Some(serial) => Err(BootFailed {
            step: String::from(MOUNT),
            errno: ENODEV,
            message: format!("no disk has the serial number '{serial}'"),
        }),
    }
}

/// The virtio devices that are disks, in the order in which QEMU was given them: it fills its slots from the end.
fn devices() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(BUS.to_owned() + "/devices")?.flatten() {
        let kind = fs::read_to_string(entry.path().join("device")).unwrap_or_default();
        if kind.trim_end() == DISK_TYPE {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found.sort_by_key(|name| std::cmp::Reverse((name.len(), name.clone())));
    Ok(found)
}

fn serial_of(device: &str) -> String {
    let blocks = fs::read_dir(format!("{BUS}/devices/{device}/block"));
    for block in blocks.into_iter().flatten().flatten() {
        if let Ok(serial) = fs::read_to_string(block.path().join("serial")) {
            return String::from(serial.trim_end());
        }
    }
    String::new()
}

/// The device node of the disk with this serial number.
pub fn node(serial: &str) -> std::result::Result<String, BootFailed> {
    match find(serial).during(MOUNT, "/sys/block")? {
        Some(device) => Ok(device),
        None => Err(BootFailed {
            step: String::from(MOUNT),
            errno: ENODEV,
            message: format!("no disk has the serial number '{serial}'"),
        }),
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
