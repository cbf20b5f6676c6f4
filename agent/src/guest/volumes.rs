//! What the user has mounted in the guest besides its root: memory, disks and files of the host, each at a place that is made where
//! it is missing.

use super::places;
use crate::failure::{While, MOUNT, PROTOCOL};
use crate::generated::messages::{BootFailed, DiskMount, GuestMount};
use crate::modules::Modules;
use crate::relay::Relay;
use crate::root::{disk, ext4};
use crate::sys::{
    self, EROFS, MOUNT_NO_DEVICES, MOUNT_NO_EXEC, MOUNT_NO_SUID, MOUNT_READ_ONLY, MOUNT_REMOUNT,
};
use std::fs;
use std::io;
use std::path::Path;

enum Kind<'a> {
    Memory { size_mib: u32 },
    Disk(&'a DiskMount),
    Files { is_file: bool },
}

/// Mounts all of them, in the order in which they come: what encloses another one comes before it.
pub fn mount_all(
    mounts: &[GuestMount],
    modules: &Modules,
    relay: Option<&Relay>,
) -> Result<(), BootFailed> {
    let serials = mounts.iter().filter_map(|mount| mount.disk.as_ref());
    let serials: Vec<&str> = serials.map(|disk| &*disk.file_system.serial).collect();
    if !serials.is_empty() {
        disk::bind(modules, serials.into_iter())?;
    }
    for mount in mounts {
        mount_one(mount, relay)?;
    }
    // Only now: places for what is mounted in them could not be made any more.
    for mount in mounts.iter().filter(|mount| mount.read_only) {
        if let Kind::Memory { size_mib } = kind(mount)? {
            let flags = flags(mount) | MOUNT_REMOUNT | MOUNT_READ_ONLY;
            sys::mount(
                "tmpfs",
                &mount.path,
                "tmpfs",
                flags,
                &memory_options(size_mib),
            )
            .during(MOUNT, &mount.path)?;
        }
    }
    Ok(())
}

fn kind(mount: &GuestMount) -> Result<Kind<'_>, BootFailed> {
    match (&mount.memory, &mount.disk, &mount.files) {
        (Some(memory), None, None) => Ok(Kind::Memory {
            size_mib: memory.size_mib,
        }),
        (None, Some(disk), None) => Ok(Kind::Disk(disk)),
        (None, None, Some(files)) => Ok(Kind::Files {
            is_file: files.is_file,
        }),
        _ => Err(BootFailed {
            step: String::from(PROTOCOL),
            errno: 0,
            message: format!("the mount at {} is not of exactly one kind", mount.path),
        }),
    }
}

fn mount_one(mount: &GuestMount, relay: Option<&Relay>) -> Result<(), BootFailed> {
    let kind = kind(mount)?;
    let path = &*mount.path;
    let place = Path::new(path);
    match kind {
        Kind::Files { is_file: true } => make_file(place),
        _ => places::make_directories(place, 0o755),
    }
    .during(MOUNT, format_args!("the place {path} in the guest"))?;
    match kind {
        Kind::Memory { size_mib } => {
            let options = memory_options(size_mib);
            sys::mount("tmpfs", path, "tmpfs", flags(mount), &options).during(MOUNT, path)
        }
        Kind::Disk(disk) => mount_disk(mount, disk),
        Kind::Files { is_file } => {
            let read_only = if mount.read_only { MOUNT_READ_ONLY } else { 0 };
            let flags = files_flags(mount) | read_only;
            relay
                .ok_or_else(|| io::Error::from_raw_os_error(sys::ENODEV))
                .and_then(|relay| relay.mount(path, is_file, flags))
                .during(MOUNT, format_args!("the host's files at {path}"))
        }
    }
}

/// Makes an empty file unless there is one.
fn make_file(path: &Path) -> io::Result<()> {
    if fs::metadata(path).map_or(false, |found| found.is_file()) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        places::make_directories(parent, 0o755)?;
    }
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map(drop)
}

fn mount_disk(mount: &GuestMount, disk: &DiskMount) -> Result<(), BootFailed> {
    let path = &*mount.path;
    let what = format!("the disk at {path}");
    let read_only = if mount.read_only { MOUNT_READ_ONLY } else { 0 };
    disk::mount(&disk.file_system, path, flags(mount) | read_only, &what).map_err(
        |mut failed| {
            if mount.read_only && failed.errno == EROFS {
                // What was being written when it was cut off last is in its journal, which nobody may replay here.
                failed.message += ": mount it once so that it can be written";
            }
            failed
        },
    )?;
    if disk.fills && !mount.read_only {
        ext4::fill_disk(&disk::node(&disk.file_system.serial)?, path)
            .during(MOUNT, format_args!("growing {what}"))?;
    }
    Ok(())
}

fn flags(mount: &GuestMount) -> u64 {
    [
        (mount.no_exec, MOUNT_NO_EXEC),
        (mount.no_suid, MOUNT_NO_SUID),
        (mount.no_devices, MOUNT_NO_DEVICES),
    ]
    .iter()
    .fold(0, |flags, (wanted, flag)| {
        flags | if *wanted { *flag } else { 0 }
    })
}

/// Any user of the guest may give the host's files to anyone, with any mode: nobody becomes root by that.
fn files_flags(mount: &GuestMount) -> u64 {
    flags(mount) | MOUNT_NO_SUID
}

/// As tmpfs has them: everybody may write, nobody may remove what is another's.
fn memory_options(size_mib: u32) -> String {
    match size_mib {
        0 => String::from("mode=1777"),
        size => format!("mode=1777,size={size}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::messages::{DiskFileSystem, MemoryMount};

    fn at(path: &str) -> GuestMount {
        GuestMount {
            path: String::from(path),
            read_only: false,
            no_exec: true,
            no_suid: false,
            no_devices: true,
            memory: None,
            disk: None,
            files: None,
        }
    }

    #[test]
    fn a_mount_is_of_exactly_one_kind() {
        let mut mount = at("/data");
        assert!(kind(&mount).is_err());
        mount.memory = Some(MemoryMount { size_mib: 5 });
        assert!(matches!(kind(&mount), Ok(Kind::Memory { size_mib: 5 })));
        mount.disk = Some(DiskMount {
            file_system: DiskFileSystem {
                serial: String::new(),
                fs_type: String::new(),
            },
            fills: false,
        });
        assert!(kind(&mount).is_err());
    }

    #[test]
    fn flags_are_those_that_are_wanted() {
        assert_eq!(flags(&at("/data")), MOUNT_NO_EXEC | MOUNT_NO_DEVICES);
    }

    #[test]
    fn files_of_the_host_make_nobody_root() {
        let mut mount = at("/data");
        for no_suid in [false, true] {
            mount.no_suid = no_suid;
            assert_ne!(files_flags(&mount) & MOUNT_NO_SUID, 0);
        }
    }

    #[test]
    fn memory_has_the_size_that_was_said() {
        assert_eq!(memory_options(0), "mode=1777");
        assert_eq!(memory_options(64), "mode=1777,size=64m");
    }
}
