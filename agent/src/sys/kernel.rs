//! What PID 1 asks of the kernel: mounts, modules, clock, randomness, names, the end.

use super::ffi::*;
use super::io::own;
use super::{check, check_size};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Error, Result};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::{AsRawFd, OwnedFd};
use std::path::Path;

pub const MOUNT_READ_ONLY: u64 = 1;
pub const MOUNT_NO_SUID: u64 = 2;
pub const MOUNT_NO_DEVICES: u64 = 4;
pub const MOUNT_NO_EXEC: u64 = 8;
pub const MOUNT_REMOUNT: u64 = 32;
pub const MOUNT_NO_ATIME: u64 = 1024;
pub const MOUNT_BIND: u64 = 4096;
pub const MOUNT_MOVE: u64 = 8192;

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::from_raw_os_error(EINVAL))
}

/// mount(2). `data` holds the file system's own options.
pub fn mount(source: &str, target: &str, fs_type: &str, flags: u64, data: &str) -> Result<()> {
    let (source, target) = (c_string(source)?, c_string(target)?);
    let (fs_type, data) = (c_string(fs_type)?, c_string(data)?);
    // SAFETY: four NUL-terminated strings that outlive the call.
    check(unsafe {
        super::ffi::mount(
            source.as_ptr(),
            target.as_ptr(),
            fs_type.as_ptr(),
            flags as c_ulong,
            data.as_ptr().cast(),
        )
    })
    .map(drop)
}

/// Unmounts, or fails when something still uses the file system.
pub fn unmount(target: &str) -> Result<()> {
    let target = c_string(target)?;
    // SAFETY: a NUL-terminated string.
    check(unsafe { umount2(target.as_ptr(), 0) }).map(drop)
}

/// Takes a mount out of the tree now; its file system goes when its last user does.
pub fn detach_mount(target: &str) -> Result<()> {
    let target = c_string(target)?;
    // SAFETY: a NUL-terminated string.
    check(unsafe { umount2(target.as_ptr(), MNT_DETACH) }).map(drop)
}

pub fn change_root(path: &CStr) -> Result<()> {
    // SAFETY: a NUL-terminated string.
    check(unsafe { chroot(path.as_ptr()) }).map(drop)
}

/// Type, size and free space of a file system.
pub struct FileSystem {
    /// As in linux/magic.h.
    pub magic: i64,
    pub total_bytes: u64,
    /// What an unprivileged user may still use.
    pub free_bytes: u64,
}

pub fn file_system(path: &str) -> Result<FileSystem> {
    let out = statfs_of(&c_string(path)?)?;
    let block = out.f_frsize as u64;
    Ok(FileSystem {
        magic: out.f_type,
        total_bytes: out.f_blocks.saturating_mul(block),
        free_bytes: out.f_bavail.saturating_mul(block),
    })
}

/// What statvfs(3) says of the file system that a path is on, in its order; of the flags only "read-only" and "no set-user-id".
pub fn space_of(path: &Path) -> Result<[u64; 11]> {
    let path =
        CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::from_raw_os_error(EINVAL))?;
    let found = statfs_of(&path)?;
    let id = u64::from(found.f_fsid[0] as u32) | u64::from(found.f_fsid[1] as u32) << 32;
    Ok([
        found.f_bsize as u64,
        found.f_frsize as u64,
        found.f_blocks,
        found.f_bfree,
        found.f_bavail,
        found.f_files,
        found.f_ffree,
        found.f_ffree,
        id,
        found.f_flags as u64 & 3,
        found.f_namelen as u64,
    ])
}

fn statfs_of(path: &CStr) -> Result<statfs> {
    let mut out = statfs {
        f_type: 0,
        f_bsize: 0,
        f_blocks: 0,
        f_bfree: 0,
        f_bavail: 0,
        f_files: 0,
        f_ffree: 0,
        f_fsid: [0; 2],
        f_namelen: 0,
        f_frsize: 0,
        f_flags: 0,
        f_spare: [0; 4],
    };
    // SAFETY: a NUL-terminated string and a structure of the size that the call fills.
    check(unsafe { super::ffi::statfs(path.as_ptr(), &mut out) }).map(|_| out)
}

/// Grows the mounted ext4 file system that an open file is on to so many blocks.
pub fn resize_ext4(file: &impl AsRawFd, blocks: u64) -> Result<()> {
    // SAFETY: the kernel reads the eight bytes of the number.
    check(unsafe { ioctl(file.as_raw_fd(), EXT4_IOC_RESIZE_FS, &blocks as *const u64) }).map(drop)
}

/// Writes all of the file system that an open file is on to its disk, and has whoever writes to it wait. EBUSY: it is frozen already.
pub fn freeze_file_system(file: &impl AsRawFd) -> Result<()> {
    // SAFETY: the request takes no memory.
    check(unsafe { ioctl(file.as_raw_fd(), FIFREEZE, 0) }).map(drop)
}

/// Lets those go on. EINVAL: it is not frozen.
pub fn thaw_file_system(file: &impl AsRawFd) -> Result<()> {
    // SAFETY: the request takes no memory.
    check(unsafe { ioctl(file.as_raw_fd(), FITHAW, 0) }).map(drop)
}

/// Writes all cached file data to the disks.
pub fn sync_disks() {
    // SAFETY: no arguments; cannot fail.
    unsafe { sync() }
}

/// Powers the machine off. Returns only when the kernel refuses.
pub fn power_off() -> Error {
    // SAFETY: no pointers.
    unsafe { reboot(RB_POWER_OFF) };
    Error::last_os_error()
}

/// Loads a module from an open, uncompressed `.ko` file.
pub fn load_module(file: &impl AsRawFd) -> Result<()> {
    let no_parameters: *const c_char = b"\0".as_ptr().cast();
    let no_flags: c_int = 0;
    // SAFETY: finit_module(fd, parameters, flags) with a NUL-terminated string.
    let result = unsafe { syscall(SYS_FINIT_MODULE, file.as_raw_fd(), no_parameters, no_flags) };
    check_size(result as isize).map(drop)
}

pub fn set_host_name(name: &str) -> Result<()> {
    // SAFETY: pointer and length describe one live string; the call needs no NUL.
    check(unsafe { sethostname(name.as_ptr().cast(), name.len()) }).map(drop)
}

/// Sets the wall clock.
pub fn set_clock(seconds: u64, nanoseconds: u32) -> Result<()> {
    let time = timespec {
        tv_sec: seconds as i64,
        tv_nsec: nanoseconds as i64,
    };
    // SAFETY: `time` lives through the call.
    check(unsafe { clock_settime(CLOCK_REALTIME, &time) }).map(drop)
}

/// Mixes bytes into the kernel's random pool, counts each as 8 bits of entropy, and has the generator take them up at
/// once, so that no output from before is continued (random(4), RNDADDENTROPY and RNDRESEEDCRNG).
pub fn add_entropy(device: &impl AsRawFd, bytes: &[u8]) -> Result<()> {
    // struct rand_pool_info { int entropy_count; int buf_size; __u32 buf[]; }
    let mut info = Vec::with_capacity(8 + bytes.len());
    info.extend_from_slice(&(bytes.len() as u32 * 8).to_ne_bytes());
    info.extend_from_slice(&(bytes.len() as u32).to_ne_bytes());
    info.extend_from_slice(bytes);
    // SAFETY: the kernel reads the eight bytes of the head and as many as they say; the request copies bytewise.
    unsafe {
        check(ioctl(device.as_raw_fd(), RNDADDENTROPY, info.as_ptr()))?;
        check(ioctl(device.as_raw_fd(), RNDRESEEDCRNG, 0))?;
    }
    Ok(())
}

/// Fills the buffer from the kernel's random generator.
pub fn random(buffer: &mut [u8]) -> Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        let rest = &mut buffer[filled..];
        // SAFETY: pointer and length describe one live, writable slice.
        filled += check_size(unsafe { getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) })?;
    }
    Ok(())
}

/// A socket for echo requests that this process need not be privileged for (icmp(7)).
pub fn icmp_socket(six: bool) -> Result<OwnedFd> {
    let (family, protocol) = if six {
        (AF_INET6, IPPROTO_ICMPV6)
    } else {
        (AF_INET, IPPROTO_ICMP)
    };
    // SAFETY: no memory is passed.
    own(unsafe { socket(family, SOCK_DGRAM | SOCK_CLOEXEC, protocol) })
}

/// Ends a connection at once: an RST, and ECONNRESET for whoever uses it (connect(2) with AF_UNSPEC).
pub fn disconnect(socket: &impl AsRawFd) -> Result<()> {
    let nobody = sockaddr {
        family: AF_UNSPEC,
        data: [0; 14],
    };
    let length = std::mem::size_of::<sockaddr>() as c_uint;
    // SAFETY: the address lives through the call and is as long as it says.
    check(unsafe { connect(socket.as_raw_fd(), &nobody, length) }).map(drop)
}

/// The user who has connected to a Unix socket (unix(7), SO_PEERCRED).
pub fn peer_user(socket: &impl AsRawFd) -> Result<u32> {
    // struct ucred: the process, the user, the group.
    let mut peer = [0u32; 3];
    let mut length = std::mem::size_of_val(&peer) as c_uint;
    // SAFETY: the array has as many bytes as is said, and both live through the call.
    check(unsafe {
        getsockopt(
            socket.as_raw_fd(),
            SOL_SOCKET,
            SO_PEERCRED,
            peer.as_mut_ptr().cast(),
            &mut length,
        )
    })?;
    Ok(peer[1])
}

/// A socket to the kernel's tables of interfaces, addresses and routes (rtnetlink(7)). What is written goes to the kernel.
pub fn netlink_route() -> Result<File> {
    // SAFETY: no memory is passed.
    let socket = unsafe { socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE) };
    Ok(File::from(own(socket)?))
}

/// The processor's time-stamp counter.
#[cfg(target_arch = "x86_64")]
pub fn time_stamp() -> u64 {
    // SAFETY: RDTSC is on every x86-64 processor and touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}
