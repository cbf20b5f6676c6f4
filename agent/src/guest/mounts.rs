//! The file systems that every sandbox has: the kernel's views, and memory for what need not be kept.

use super::places;
use crate::failure::{While, GUEST, MOUNT_POINT};
use crate::generated::messages::BootFailed;
use crate::inside::{emit, LINK, SOCKET};
use crate::root::Owner;
use crate::sys::{
    self, MOUNT_NO_DEVICES as NODEV, MOUNT_NO_EXEC as NOEXEC, MOUNT_NO_SUID as NOSUID,
};
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{symlink, MetadataExt};
use std::os::unix::io::{AsRawFd, OwnedFd};

const RUN: &str = "/run";
const TMP: &str = "/tmp";
const PLAIN: u64 = NOSUID | NODEV;
const QUIET: u64 = PLAIN | NOEXEC;

/// Mounts all of them in the new root. Those before `/run` hide what is there, as every container's do.
pub fn mount_all(tmp_size_mib: u32, owner: Owner) -> std::result::Result<(), BootFailed> {
    let pts = "newinstance,ptmxmode=666,gid=5,mode=620";
    let mounts: [(&str, &str, u64, &str); 7] = [
        ("/proc", "proc", QUIET, ""),
        ("/sys", "sysfs", QUIET, ""),
        ("/dev", "devtmpfs", NOSUID, "mode=0755"),
        ("/dev/pts", "devpts", NOSUID | NOEXEC, pts),
        ("/dev/shm", "tmpfs", PLAIN, "mode=1777"),
        ("/sys/fs/cgroup", "cgroup2", QUIET, ""),
        ("/.msb", "tmpfs", PLAIN, "mode=0755"),
    ];
    for (target, fs_type, flags, options) in mounts {
        make_mount_point(target, owner)?;
        sys::mount(fs_type, target, fs_type, flags, options).during(GUEST, target)?;
    }
    if let Err(error) = show_programs() {
        eprintln!("agent: {} is not there: {error}", emit::PROGRAM);
    }
    cover_all(tmp_size_mib, owner)
}

/// Programs of the agent's own file, which is in memory as long as the guest runs.
fn show_programs() -> Result<()> {
    places::make_directory("/.msb/bin", 0o755)?;
    File::create(emit::PROGRAM)?;
    sys::mount("/proc/self/exe", emit::PROGRAM, "", sys::MOUNT_BIND, "")
}

/// Mounts memory over the directories whose contents need not be kept.
pub fn cover_all(tmp_size_mib: u32, owner: Owner) -> std::result::Result<(), BootFailed> {
    mount_memory(RUN, 0o755, "", owner).during(GUEST, RUN)?;
    link_socket().during(GUEST, LINK)?;
    let size = format!(",size={tmp_size_mib}m");
    mount_memory(TMP, 0o1777, &size, owner).during(GUEST, TMP)
}

/// Gives the socket its name, where that is in memory and nobody has it.
fn link_socket() -> Result<()> {
    if !covers(RUN, fs::metadata("/")?.dev()) {
        return Ok(());
    }
    match symlink(SOCKET, LINK) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Takes the memory away from over the root's directories: what is written there now is part of the root, and is seen through
/// the memory at every start.
pub fn uncover_all() -> Result<()> {
    let root = fs::metadata("/")?.dev();
    for target in [TMP, RUN] {
        while covers(target, root) {
            sys::unmount(target)?;
        }
    }
    Ok(())
}

/// Whether a directory is of another file system than the root. A link to one is as the image wants it.
fn covers(target: &str, root: u64) -> bool {
    fs::symlink_metadata(target).map_or(false, |found| found.is_dir() && found.dev() != root)
}

/// What the agent cannot do without has a directory, or the root cannot be used.
fn make_mount_point(path: &str, owner: Owner) -> std::result::Result<(), BootFailed> {
    match owner {
        Owner::Sandbox => places::claim_directory(path, 0o755).during(GUEST, path),
        Owner::User if fs::metadata(path).map_or(false, |found| found.is_dir()) => Ok(()),
        Owner::User => fs::create_dir(path).during(MOUNT_POINT, path),
    }
}

/// Whose a directory is and what others may do in it.
struct Access {
    mode: u32,
    uid: u32,
    gid: u32,
}

/// Mounts memory over a directory, through which what the directory holds is still seen: nothing is copied until it is
/// changed. A link to a directory stays as it is, because the image wants it to be elsewhere.
///
/// `mode` is for a directory that is not there yet, or that is the user's: who may write to his is about his own machine.
/// `options` are tmpfs's, each after a comma.
fn mount_memory(target: &str, mode: u32, options: &str, owner: Owner) -> Result<()> {
    if !places::is_directory(target) {
        if fs::metadata(target).map_or(false, |found| found.is_dir()) {
            return Ok(());
        }
        match owner {
            Owner::Sandbox => places::claim_directory(target, mode)?,
            Owner::User => {
                // Only where nothing is.
                if let Err(error) = places::make_directory(target, mode) {
                    return leave(target, &error);
                }
            }
        }
    }
    let access = access_to(target, mode, owner)?;
    let is_empty = fs::read_dir(target)?.next().is_none();
    // Before it is covered.
    let path = CString::new(target).map_err(|_| Error::from_raw_os_error(sys::EINVAL))?;
    let directory = sys::open_path(&path)?;
    let Access { mode, uid, gid } = access;
    let options = format!("mode={mode:o},uid={uid},gid={gid}{options}");
    sys::mount("tmpfs", target, "tmpfs", PLAIN, &options)?;
    if is_empty {
        return Ok(());
    }
    show_through(target, &directory, &access).or_else(|error| {
        sys::unmount(target)?;
        leave(target, &error)
    })
}

fn access_to(target: &str, mode: u32, owner: Owner) -> Result<Access> {
    let found = fs::metadata(target)?;
    Ok(match owner {
        Owner::Sandbox => Access {
            mode: found.mode() & 0o7777,
            uid: found.uid(),
            gid: found.gid(),
        },
        Owner::User => Access {
            mode,
            uid: 0,
            gid: 0,
        },
    })
}

/// Shows a directory through the memory that is mounted over it, which takes what is changed.
fn show_through(target: &str, directory: &OwnedFd, access: &Access) -> Result<()> {
    let (upper, work) = (format!("{target}/upper"), format!("{target}/work"));
    for path in [&upper, &work] {
        places::make_directory(path, access.mode)?;
    }
    let root = OwnedFd::from(File::open(&upper)?);
    sys::set_file_owner(&root, Some(access.uid), Some(access.gid))?;
    let lower = format!("/proc/self/fd/{}", directory.as_raw_fd());
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work},metacopy=off");
    sys::mount("overlay", target, "overlay", PLAIN, &options)
}

fn leave(target: &str, error: &Error) -> Result<()> {
    eprintln!("agent: {target} is not in memory: {error}");
    Ok(())
}
