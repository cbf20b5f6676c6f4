//! What the standard library does not know of files: owners, times, news of changes, and waking a thread that waits for a
//! descriptor.

use super::ffi::*;
use super::io::own;
use super::{check, check_size};
use std::ffi::CString;
use std::io::{Error, Result};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::{AsRawFd, OwnedFd};
use std::path::Path;

fn c_path(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::from_raw_os_error(EINVAL))
}

/// chown(2), or lchown(2). None: as it is.
pub fn set_owner(path: &Path, uid: Option<u32>, gid: Option<u32>, follow: bool) -> Result<()> {
    let (uid, gid) = (uid.unwrap_or(u32::MAX), gid.unwrap_or(u32::MAX));
    let path = c_path(path)?;
    // SAFETY: a NUL-terminated string that outlives the call.
    check(unsafe {
        match follow {
            true => chown(path.as_ptr(), uid, gid),
            false => lchown(path.as_ptr(), uid, gid),
        }
    })
    .map(drop)
}

/// A time for utimensat(2): nanoseconds since 1970, or as it is.
fn time(ns: Option<i64>) -> timespec {
    const SECOND: i64 = 1_000_000_000;
    match ns {
        Some(ns) => timespec {
            tv_sec: ns.div_euclid(SECOND),
            tv_nsec: ns.rem_euclid(SECOND),
        },
        None => timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
    }
}

/// utimensat(2) in nanoseconds since 1970. None: as it is.
pub fn set_times(
    path: &Path,
    accessed: Option<i64>,
    modified: Option<i64>,
    follow: bool,
) -> Result<()> {
    let times = [time(accessed), time(modified)];
    let path = c_path(path)?;
    let flags = if follow { 0 } else { AT_SYMLINK_NOFOLLOW };
    // SAFETY: a NUL-terminated string and two times, which outlive the call.
    check(unsafe { utimensat(AT_FDCWD, path.as_ptr(), times.as_ptr(), flags) }).map(drop)
}

/// Sets when an open file was modified last, nanoseconds since 1970.
pub fn set_modified(file: &impl AsRawFd, modified: i64) -> Result<()> {
    set_file_times(file, None, modified)
}

/// Sets also when it was read last. None: as it is.
pub fn set_file_times(file: &impl AsRawFd, accessed: Option<i64>, modified: i64) -> Result<()> {
    let times = [time(accessed), time(Some(modified))];
    // SAFETY: two times, which outlive the call.
    check(unsafe { futimens(file.as_raw_fd(), times.as_ptr()) }).map(drop)
}

/// fchown(2). None: as it is.
pub fn set_file_owner(file: &impl AsRawFd, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    let (uid, gid) = (uid.unwrap_or(u32::MAX), gid.unwrap_or(u32::MAX));
    // SAFETY: no pointers.
    check(unsafe { fchown(file.as_raw_fd(), uid, gid) }).map(drop)
}

/// Reads at most so many bytes behind those that a vector has. 0 at the end.
pub fn read_more(file: &impl AsRawFd, out: &mut Vec<u8>, most: usize) -> Result<usize> {
    out.reserve(most);
    let (start, length) = (out.len(), most);
    // SAFETY: there is room for `most` bytes behind those that are there, and as many as the kernel says have been written.
    unsafe {
        let count = check_size(super::ffi::read(
            file.as_raw_fd(),
            out.as_mut_ptr().add(start).cast(),
            length,
        ))?;
        out.set_len(start + count);
        Ok(count)
    }
}

/// A descriptor that becomes readable when another thread says so.
pub struct Wake {
    fd: OwnedFd,
}

impl Wake {
    pub fn new() -> Result<Wake> {
        // SAFETY: no pointers.
        let fd = own(unsafe { eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) })?;
        Ok(Wake { fd })
    }

    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    pub fn wake(&self) {
        // It fails only when it has been woken 2^64 - 2 times and nobody has looked.
        let _ = super::write(&self.fd, &1u64.to_ne_bytes());
    }

    pub fn clear(&self) {
        let _ = super::read(&self.fd, &mut [0; 8]);
    }
}

/// An inotify(7) instance.
pub fn inotify() -> Result<OwnedFd> {
    // SAFETY: no pointers.
    own(unsafe { inotify_init1(IN_CLOEXEC | IN_NONBLOCK) })
}

/// Has an inotify instance tell of what a path leads to. Returns the number of that, the same for the same file.
pub fn watch(inotify: &OwnedFd, path: &Path, mask: u32) -> Result<i32> {
    let path = c_path(path)?;
    // SAFETY: a NUL-terminated string that outlives the call.
    check(unsafe { inotify_add_watch(inotify.as_raw_fd(), path.as_ptr(), mask) })
}
