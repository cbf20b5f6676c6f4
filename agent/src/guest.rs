//! What a program expects to find around it: the kernel's file systems, a name, a loopback interface, a clock.

use crate::failure::{While, GUEST, WORKDIR};
use crate::messages_generated::{Boot, BootFailed, Script};
use crate::root::create_directory;
use crate::sys::{
    self, EEXIST, ENOTDIR, MOUNT_NO_DEVICES as NODEV, MOUNT_NO_EXEC as NOEXEC,
    MOUNT_NO_SUID as NOSUID,
};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{Error, Result, Write};
use std::os::unix::fs::{symlink, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const O_NONBLOCK: i32 = 0o4000;
/// Where the sandbox's scripts are, first in everyone's PATH.
const SCRIPTS: &str = "/.msb/scripts";
const PROFILE: &str = "/etc/profile.d/microsandbox.sh";

/// Gives the kernel what the host alone knows: randomness and the time. Nothing may run before this, because every guest
/// made from the same memory image starts with the same random pool and clock.
pub fn seed(boot: &Boot) -> std::result::Result<(), BootFailed> {
    let device = File::open("/dev/urandom").during(GUEST, "/dev/urandom")?;
    sys::add_entropy(&device, &boot.entropy).during(GUEST, "entropy")?;
    sys::set_clock(boot.wall_clock_seconds, boot.wall_clock_nanoseconds).during(GUEST, "clock")
}

/// Sets up everything inside the new root.
pub fn set_up(boot: &Boot) -> std::result::Result<(), BootFailed> {
    mount_all(boot.tmp_size_mib)?;
    link_devices().during(GUEST, "/dev")?;
    sys::interface_up("lo").during(GUEST, "loopback interface")?;
    sys::set_host_name(&boot.hostname).during(GUEST, "host name")?;
    create_directory("/etc").during(GUEST, "/etc")?;
    write_file(
        "/etc/hostname",
        0o644,
        format!("{}\n", boot.hostname).as_bytes(),
    )?;
    write_file("/etc/hosts", 0o644, hosts(&boot.hostname).as_bytes())?;
    write_machine_id()?;
    write_scripts(&boot.scripts)?;
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

fn hosts(hostname: &str) -> String {
    let mut text =
        String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    if !hostname.is_empty() && hostname != "localhost" {
        let _ = writeln!(text, "127.0.1.1\t{hostname}");
    }
    text
}

/// A machine that has no id yet gets one; a restarted sandbox keeps its own (machine-id(5)).
fn write_machine_id() -> std::result::Result<(), BootFailed> {
    const PATH: &str = "/etc/machine-id";
    if fs::metadata(PATH).map_or(false, |metadata| metadata.len() > 0) {
        return Ok(());
    }
    let mut id = [0; 16];
    sys::random(&mut id).during(GUEST, "machine id")?;
    // RFC 9562: version 4, variant 1.
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(33);
    for byte in id {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    write_file(PATH, 0o444, text.as_bytes())
}

fn write_scripts(scripts: &[Script]) -> std::result::Result<(), BootFailed> {
    create_directory(SCRIPTS).during(GUEST, SCRIPTS)?;
    for script in scripts {
        let path = format!("{SCRIPTS}/{}", script.name);
        write_file(&path, 0o755, &script.content)?;
    }
    if Path::new("/etc/profile.d").is_dir() {
        let text = format!("export PATH=\"{SCRIPTS}:$PATH\"\n");
        write_file(PROFILE, 0o644, text.as_bytes())?;
    }
    Ok(())
}

/// Writes a file without waiting, should the image have put a pipe in its place.
fn write_file(path: &str, mode: u32, content: &[u8]) -> std::result::Result<(), BootFailed> {
    let write = || -> Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .custom_flags(O_NONBLOCK)
            .open(path)?;
        file.write_all(content)?;
        file.set_permissions(fs::Permissions::from_mode(mode))
    };
    write().during(GUEST, path)
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

    #[test]
    fn hosts_names_the_sandbox() {
        let text = hosts("demo");
        assert!(text.lines().any(|line| line == "127.0.0.1\tlocalhost"));
        assert!(text.lines().any(|line| line == "127.0.1.1\tdemo"));
    }

    #[test]
    fn hosts_does_not_move_localhost() {
        assert!(!hosts("localhost").contains("127.0.1.1"));
    }
}
