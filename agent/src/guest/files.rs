//! The files that the agent puts into a root file system: names, the machine's id, scripts.
//!
//! A root of layers is the sandbox's own, and they are written into it. A directory of the host's or a disk of the user's
//! keeps its own files: there they are in memory, each mounted over the file of its name. What such a root gets is at most
//! an empty file as a mount point, where it has none.

use crate::failure::{While, GUEST};
use crate::messages_generated::{Boot, BootFailed, Script};
use crate::root::{create_directory, Owner};
use crate::sys;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{Result, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

const O_NONBLOCK: i32 = 0o4000;
/// Where the sandbox's scripts are, first in everyone's PATH.
const SCRIPTS: &str = "/.msb/scripts";
/// Where the files are that are mounted over others.
const ASIDE: &str = "/.msb/files";
const HOST_NAME: &str = "/etc/hostname";
const HOSTS: &str = "/etc/hosts";
const MACHINE_ID: &str = "/etc/machine-id";
const PROFILE: &str = "/etc/profile.d/microsandbox.sh";

/// Puts all files in their places. The kernel's file systems and `/.msb` are mounted.
pub fn write_all(boot: &Boot, owner: Owner) -> std::result::Result<(), BootFailed> {
    create_directory("/etc").during(GUEST, "/etc")?;
    let name = format!("{}\n", boot.hostname);
    place(HOST_NAME, 0o644, name.as_bytes(), owner)?;
    place(HOSTS, 0o644, hosts(&boot.hostname).as_bytes(), owner)?;
    // A machine that has no id yet gets one; a restarted sandbox keeps its own (machine-id(5)).
    if fs::metadata(MACHINE_ID).map_or(true, |metadata| metadata.len() == 0) {
        let id = machine_id().during(GUEST, "machine id")?;
        place(MACHINE_ID, 0o444, id.as_bytes(), owner)?;
    }
    write_scripts(&boot.scripts)?;
    if Path::new("/etc/profile.d").is_dir() {
        let text = format!("export PATH=\"{SCRIPTS}:$PATH\"\n");
        place(PROFILE, 0o644, text.as_bytes(), owner)?;
    }
    Ok(())
}

fn place(
    path: &str,
    mode: u32,
    content: &[u8],
    owner: Owner,
) -> std::result::Result<(), BootFailed> {
    match owner {
        Owner::Sandbox => write_file(path, mode, content).during(GUEST, path),
        Owner::User => cover(path, mode, content),
    }
}

/// Mounts a file in memory over another one.
fn cover(path: &str, mode: u32, content: &[u8]) -> std::result::Result<(), BootFailed> {
    if let Err(error) = make_mount_point(path) {
        // Such as on a file system that cannot be written. The guest works without.
        eprintln!("agent: {path} is left as it is: {error}");
        return Ok(());
    }
    let aside = format!("{ASIDE}{path}");
    if let Some(parent) = Path::new(&aside).parent() {
        fs::create_dir_all(parent).during(GUEST, parent.display())?;
    }
    write_file(&aside, mode, content).during(GUEST, &aside)?;
    sys::mount(&aside, path, "", sys::MOUNT_BIND, "").during(GUEST, path)
}

fn make_mount_point(path: &str) -> Result<()> {
    if fs::metadata(path).is_ok() {
        return Ok(());
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).custom_flags(O_NONBLOCK);
    options.open(path).map(drop)
}

fn hosts(hostname: &str) -> String {
    let mut text =
        String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    if !hostname.is_empty() && hostname != "localhost" {
        let _ = writeln!(text, "127.0.1.1\t{hostname}");
    }
    text
}

fn machine_id() -> Result<String> {
    let mut id = [0; 16];
    sys::random(&mut id)?;
    // RFC 9562: version 4, variant 1.
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(33);
    for byte in id {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    Ok(text)
}

fn write_scripts(scripts: &[Script]) -> std::result::Result<(), BootFailed> {
    create_directory(SCRIPTS).during(GUEST, SCRIPTS)?;
    for script in scripts {
        let path = format!("{SCRIPTS}/{}", script.name);
        write_file(&path, 0o755, &script.content).during(GUEST, &path)?;
    }
    Ok(())
}

/// Writes a file without waiting, should the image have put a pipe in its place.
fn write_file(path: &str, mode: u32, content: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(O_NONBLOCK)
        .open(path)?;
    file.write_all(content)?;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_machine_id_is_32_hexadecimal_digits() {
        let id = machine_id().unwrap();
        assert_eq!(id.len(), 33);
        assert!(id.trim_end().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
