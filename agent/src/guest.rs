//! What a program expects to find around it: the kernel's file systems, a name, a loopback interface, a clock.

mod files;
mod preread;

use crate::failure::{While, GUEST, WORKDIR};
use crate::generated::messages::{Boot, BootFailed, Clock, Mount, Seed};
use crate::root::{create_directory, Owner};
use crate::sys::{
    self, EEXIST, ENOTDIR, MOUNT_NO_DEVICES as NODEV, MOUNT_NO_EXEC as NOEXEC,
    MOUNT_NO_SUID as NOSUID,
};
use std::fs::{self, File};
use std::io::{Error, Result};
use std::os::unix::fs::symlink;

/// Gives the kernel randomness from the host. No program of the user's may run before this, because every guest made from
/// the same memory image starts with the same random pool.
pub fn seed(device: &File, seed: &Seed) -> std::result::Result<(), BootFailed> {
    sys::add_entropy(device, &seed.entropy).during(GUEST, "entropy")
}

pub fn set_clock(clock: &Clock) -> std::result::Result<(), BootFailed> {
    sys::set_clock(clock.seconds, clock.nanoseconds).during(GUEST, "clock")
}

/// Sets up inside the new root what all sandboxes have alike.
pub fn set_up(mount: &Mount, owner: Owner) -> std::result::Result<(), BootFailed> {
    mount_all(mount.tmp_size_mib)?;
    link_devices().during(GUEST, "/dev")?;
    sys::interface_up("lo").during(GUEST, "loopback interface")?;
    files::prepare(owner)?;
    if !mount.programs.is_empty() {
        preread::read_directories_around();
        preread::read_programs(&mount.programs);
    }
    Ok(())
}

/// Sets up what makes this sandbox itself.
pub fn become_sandbox(boot: &Boot, owner: Owner) -> std::result::Result<(), BootFailed> {
    sys::set_host_name(&boot.hostname).during(GUEST, "host name")?;
    files::write_all(boot, owner)?;
    check_working_directory(&boot.workdir)
}

/// Tells a wrong working directory once, at the start, instead of with every command.
fn check_working_directory(path: &str) -> std::result::Result<(), BootFailed> {
    if path.is_empty() {
        return Ok(());
    }
    let is_directory = || match fs::metadata(path)?.is_dir() {
        true => Ok(()),
        false => Err(Error::from_raw_os_error(ENOTDIR)),
    };
    is_directory().during(WORKDIR, path)
}

fn mount_all(tmp_size_mib: u32) -> std::result::Result<(), BootFailed> {
    let tmp = format!("mode=1777,size={tmp_size_mib}m");
    let plain = NOSUID | NODEV;
    let quiet = plain | NOEXEC;
    let pts = "newinstance,ptmxmode=666,gid=5,mode=620";
    let mounts: [(&str, &str, u64, &str); 9] = [
        ("/proc", "proc", quiet, ""),
        ("/sys", "sysfs", quiet, ""),
        ("/dev", "devtmpfs", NOSUID, "mode=0755"),
        ("/dev/pts", "devpts", NOSUID | NOEXEC, pts),
        ("/dev/shm", "tmpfs", plain, "mode=1777"),
        ("/run", "tmpfs", plain, "mode=0755"),
        ("/tmp", "tmpfs", plain, &tmp),
        ("/sys/fs/cgroup", "cgroup2", quiet, ""),
        ("/.msb", "tmpfs", plain, "mode=0755"),
    ];
    for (target, fs_type, flags, options) in mounts {
        create_directory(target).during(GUEST, target)?;
        sys::mount(fs_type, target, fs_type, flags, options).during(GUEST, target)?;
    }
    Ok(())
}

fn link_devices() -> Result<()> {
    let links = [
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
        ("pts/ptmx", "/dev/ptmx"),
    ];
    for (target, link) in links {
        // The kernel makes a /dev/ptmx of its own, which belongs to no instance of devpts.
        let _ = fs::remove_file(link);
        match symlink(target, link) {
            Err(error) if sys::errno_of(&error) != EEXIST => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::ENOENT;

    #[test]
    fn tells_a_wrong_working_directory() {
        assert_eq!(check_working_directory(""), Ok(()));
        assert_eq!(check_working_directory("/proc"), Ok(()));
        for (path, errno) in [("/nonexistent", ENOENT), ("/proc/version", ENOTDIR)] {
            let failed = check_working_directory(path).unwrap_err();
            assert_eq!((failed.step.as_str(), failed.errno), (WORKDIR, errno));
        }
    }
}
