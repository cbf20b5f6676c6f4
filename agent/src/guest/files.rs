//! The files that the agent puts into a root file system: names, the machine's id, scripts.
//!
//! A root of layers is the sandbox's own, and they are written into it, in the place of whatever has their names there. A
//! directory of the host's or a disk of the user's keeps its own files: there they are in memory, each mounted over what has
//! its name. What such a root gets is at most an empty file as a mount point, where it has none.

use super::{network, places};
use crate::failure::{While, GUEST};
use crate::generated::messages::{Boot, BootFailed, GuestNetwork};
use crate::root::{create_directory, Owner};
use crate::sys::{self, O_NONBLOCK};
use std::ffi::CString;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{Error, Read, Result, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::io::AsRawFd;
use std::path::Path;

/// Where the sandbox's scripts are, first in everyone's PATH.
const SCRIPTS: &str = "/.msb/scripts";
/// Where the agent's programs are, last in everyone's PATH.
const PROGRAMS: &str = "/.msb/bin";
/// Where the files are that are mounted over others.
const ASIDE: &str = "/.msb/files";
const HOST_NAME: &str = "/etc/hostname";
const HOSTS: &str = "/etc/hosts";
const RESOLVER: &str = "/etc/resolv.conf";
const MACHINE_ID: &str = "/etc/machine-id";
const MACHINE_ID_DIGITS: usize = 32;
/// In a copy of another sandbox; new at each copy.
const FORK: &str = "/.msb/fork.json";
/// The kernel makes one when it is asked first, and keeps it.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// In a copy, what is mounted over it.
const OTHER_BOOT_ID: &str = "/.msb/boot-id";
const PROFILE: &str = "/etc/profile.d/microsandbox.sh";

/// Makes places for all files, and writes those that every sandbox has alike. A template is saved after it, so that what
/// takes long, such as the first change of a directory in a layered root, has been done. The kernel's file systems and `/.msb`
/// are mounted.
pub fn prepare(owner: Owner) -> std::result::Result<(), BootFailed> {
    // A root of the user's has one already, or cannot have one.
    if owner == Owner::Sandbox {
        places::claim_filled_directory("/etc", 0o755).during(GUEST, "/etc")?;
    }
    create_directory(SCRIPTS).during(GUEST, SCRIPTS)?;
    make_place(HOST_NAME, 0o644, owner)?;
    make_place(HOSTS, 0o644, owner)?;
    if network::is_there() {
        make_place(RESOLVER, 0o644, owner)?;
    }
    if !has_machine_id() {
        make_place(MACHINE_ID, 0o444, owner)?;
    }
    if places::is_directory("/etc/profile.d") {
        make_place(PROFILE, 0o644, owner)?;
        let text = format!("export PATH=\"{SCRIPTS}:$PATH:{PROGRAMS}\"\n");
        fill(PROFILE, text.as_bytes(), owner)?;
    }
    Ok(())
}

/// Whether a file is written anew at each start, so that nobody else's words stay in it. The machine's id is not: an image may
/// have one.
pub fn is_managed(path: &Path) -> bool {
    [HOST_NAME, HOSTS, PROFILE]
        .iter()
        .any(|managed| path == Path::new(managed))
        || path == Path::new(RESOLVER) && network::is_there()
}

/// Writes what makes a sandbox itself into the places that [prepare] has made.
pub fn write_all(boot: &Boot, owner: Owner) -> std::result::Result<(), BootFailed> {
    write_name(&boot.hostname, boot.network.as_ref(), owner)?;
    // A machine that has no id yet gets one; a restarted sandbox keeps its own.
    if !has_machine_id() {
        write_machine_id(owner)?;
    }
    for script in &boot.scripts {
        let path = format!("{SCRIPTS}/{}", script.name);
        write_file(&path, &script.content).during(GUEST, &path)?;
        places::set_mode(&path, 0o755).during(GUEST, &path)?;
    }
    Ok(())
}

fn write_name(
    hostname: &str,
    network: Option<&GuestNetwork>,
    owner: Owner,
) -> std::result::Result<(), BootFailed> {
    fill(HOST_NAME, host_name(hostname).as_bytes(), owner)?;
    fill(HOSTS, hosts_of(hostname, network).as_bytes(), owner)
}

fn write_machine_id(owner: Owner) -> std::result::Result<(), BootFailed> {
    let id = machine_id().during(GUEST, "machine id")?;
    fill(MACHINE_ID, id.as_bytes(), owner)
}

/// Names a copy, with a new id whatever is there. Its programs have run, and may have put something else into these places, or made
/// them such that nobody writes to them: then what is there stays.
pub fn rename_copy(
    hostname: &str,
    network: Option<&GuestNetwork>,
    owner: Owner,
) -> std::result::Result<(), BootFailed> {
    let id = machine_id().during(GUEST, "machine id")?;
    let files = [
        (HOST_NAME, 0o644, host_name(hostname)),
        (HOSTS, 0o644, hosts_of(hostname, network)),
        (MACHINE_ID, 0o444, id),
    ];
    for (path, mode, text) in files {
        let place = place_of(path, owner);
        // Without a place it had none when it started either.
        if owner == Owner::Sandbox || fs::metadata(&place).is_ok() {
            let _ =
                replace_file(&place, mode, text.as_bytes()).or_else(|error| leave(path, &error));
        }
    }
    Ok(())
}

/// Tells programs that this is a copy, and of what: renamed there whole, so that one who waits for it reads all of it. Names of sandboxes
/// have nothing in them that JSON would write in another way.
pub fn write_fork(name: &str, source: &str) -> Result<()> {
    let aside = format!("{FORK}.new");
    let text = format!("{{\"name\":\"{name}\",\"source\":\"{source}\"}}\n");
    replace_file(&aside, 0o644, text.as_bytes())?;
    if places::is_directory(FORK) {
        places::remove(FORK)?;
    }
    fs::rename(aside, FORK)
}

/// A new one, which the kernel does not know of: programs take it for one that no two machines have. In a copy of a copy it is there already.
pub fn write_boot_id() -> Result<()> {
    let id = machine_id()?;
    let (time, rest) = id.trim_end().split_at(8);
    let parts = [time, &rest[..4], &rest[4..8], &rest[8..12], &rest[12..]];
    let is_mounted = Path::new(OTHER_BOOT_ID).exists();
    let text = format!("{}\n", parts.join("-"));
    replace_file(OTHER_BOOT_ID, 0o444, text.as_bytes())?;
    if is_mounted {
        return Ok(());
    }
    mount_over(OTHER_BOOT_ID, BOOT_ID)
}

/// Says whom programs ask for addresses: the gateway alone.
pub fn write_resolver(network: &GuestNetwork, owner: Owner) -> std::result::Result<(), BootFailed> {
    fill(RESOLVER, network::resolver_text(network).as_bytes(), owner)
}

/// What an image has in that place need not be an id: images are made without a file, with an empty one, or with one that
/// says "uninitialized" (machine-id(5)). As systemd does, anything that is no id is replaced by one.
fn has_machine_id() -> bool {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(O_NONBLOCK);
    let mut text = Vec::new();
    let longest = MACHINE_ID_DIGITS as u64 + 2;
    options
        .open(MACHINE_ID)
        .and_then(|file| file.take(longest).read_to_end(&mut text))
        .map_or(false, |_| is_machine_id(&text))
}

/// 32 hexadecimal digits, not all of them zeros, and a newline at most.
fn is_machine_id(text: &[u8]) -> bool {
    let id = text.strip_suffix(b"\n").unwrap_or(text);
    id.len() == MACHINE_ID_DIGITS
        && id.iter().all(u8::is_ascii_hexdigit)
        && id.iter().any(|&digit| digit != b'0')
}

/// Where the file of this path is written.
fn place_of(path: &str, owner: Owner) -> String {
    match owner {
        Owner::Sandbox => String::from(path),
        Owner::User => format!("{ASIDE}{path}"),
    }
}

fn make_place(path: &str, mode: u32, owner: Owner) -> std::result::Result<(), BootFailed> {
    match owner {
        // A file of the image's own is brought into the upper layer here.
        // Emptied here, so that [write_file] need not cut off anything later.
        Owner::Sandbox => places::claim_file(path, mode).during(GUEST, path),
        Owner::User => cover(path, mode),
    }
}

/// Writes into a place, if it could be made.
fn fill(path: &str, content: &[u8], owner: Owner) -> std::result::Result<(), BootFailed> {
    let place = place_of(path, owner);
    if owner == Owner::User && fs::metadata(&place).is_err() {
        return Ok(());
    }
    write_file(&place, content).during(GUEST, path)
}

/// Mounts an empty file in memory over another one, if that can be done.
fn cover(path: &str, mode: u32) -> std::result::Result<(), BootFailed> {
    let aside = place_of(path, Owner::User);
    if let Some(parent) = Path::new(&aside).parent() {
        fs::create_dir_all(parent).during(GUEST, parent.display())?;
    }
    places::claim_file(&aside, mode).during(GUEST, &aside)?;
    places::find_or_make_file(path)
        .and_then(|()| mount_over(&aside, path))
        .or_else(|error| {
            let _ = fs::remove_file(&aside);
            leave(path, &error)
        })
        .during(GUEST, path)
}

/// Mounts a file over what has this path, even if that is a link.
pub fn mount_over(file: &str, path: &str) -> Result<()> {
    let path = CString::new(path).map_err(|_| Error::from_raw_os_error(sys::EINVAL))?;
    let itself = sys::open_path_itself(&path)?;
    let target = format!("/proc/self/fd/{}", itself.as_raw_fd());
    sys::mount(file, &target, "", sys::MOUNT_BIND, "")
}

/// Such as on a file system that cannot be written. The guest works without.
fn leave(path: &str, error: &Error) -> Result<()> {
    eprintln!("agent: {path} is left as it is: {error}");
    Ok(())
}

/// hostname(5).
fn host_name(hostname: &str) -> String {
    format!("{hostname}\n")
}

fn hosts_of(hostname: &str, network: Option<&GuestNetwork>) -> String {
    let gateway = network.map(network::host_lines);
    hosts(hostname, &gateway.unwrap_or_default())
}

/// hosts(5). `others`: whole lines.
fn hosts(hostname: &str, others: &str) -> String {
    let mut text =
        String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    text.push_str("ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n");
    text.push_str(others);
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

/// Writes a file in the place of whatever is there.
fn replace_file(path: &str, mode: u32, content: &[u8]) -> Result<()> {
    places::claim_file(path, mode)?;
    write_file(path, content)
}

/// Writes a file that is the agent's own.
fn write_file(path: &str, content: &[u8]) -> Result<()> {
    let mut file = places::open_claimed(path)?;
    file.write_all(content)?;
    let length = content.len() as u64;
    if file.seek(SeekFrom::End(0))? > length {
        file.set_len(length)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_names_the_sandbox() {
        let text = hosts("demo", "172.16.0.1\thost.microsandbox.internal\n");
        assert!(text.contains("\n172.16.0.1\thost.microsandbox.internal\n"));
        assert!(text.lines().any(|line| line == "127.0.0.1\tlocalhost"));
        assert!(text.lines().any(|line| line == "127.0.1.1\tdemo"));
    }

    #[test]
    fn a_file_is_written_in_the_place_of_whatever_is_there() {
        let top = std::env::temp_dir().join(format!("agent-replace-{}", std::process::id()));
        let at = |name: &str| String::from(top.join(name).to_str().unwrap());
        fs::create_dir_all(top.join("directory/below")).unwrap();
        fs::write(top.join("elsewhere"), "mine").unwrap();
        fs::write(top.join("longer"), "what is longer than that").unwrap();
        std::os::unix::fs::symlink("elsewhere", top.join("link")).unwrap();
        std::os::unix::fs::symlink("nothing", top.join("dangling")).unwrap();
        fs::hard_link(top.join("elsewhere"), top.join("second")).unwrap();
        for name in [
            "directory",
            "longer",
            "link",
            "dangling",
            "second",
            "missing",
        ] {
            replace_file(&at(name), 0o644, b"new\n").unwrap();
            assert_eq!(fs::read_to_string(at(name)).unwrap(), "new\n", "{name}");
        }
        assert_eq!(fs::read_to_string(at("elsewhere")).unwrap(), "mine");
        assert!(replace_file(&at("nowhere/name"), 0o644, b"new\n").is_err());
        fs::remove_dir_all(&top).unwrap();
    }

    #[test]
    fn hosts_does_not_move_localhost() {
        assert!(!hosts("localhost", "").contains("127.0.1.1"));
    }

    #[test]
    fn a_machine_id_is_32_hexadecimal_digits() {
        let id = machine_id().unwrap();
        assert_eq!(id.len(), 33);
        assert!(id.trim_end().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(is_machine_id(id.as_bytes()));
        assert!(is_machine_id(id.trim_end().as_bytes()));
    }

    #[test]
    fn what_an_image_has_instead_of_a_machine_id_is_none() {
        for text in [
            "",
            "\n",
            "uninitialized",
            "uninitialized\n",
            "00000000000000000000000000000000\n",
            "0123456789abcdef0123456789abcde\n",
            "0123456789abcdef0123456789abcdef0",
            "0123456789abcdef0123456789abcdef\n\n",
            "01234567-89ab-cdef-0123-456789abcdef\n",
            "0123456789abcdef0123456789abcdeg\n",
        ] {
            assert!(!is_machine_id(text.as_bytes()), "{text:?}");
        }
    }
}
