//! File descriptors. Every descriptor is made close-on-exec, so that no command inherits one of the agent's.

use super::ffi::*;
use super::{check, check_size, errno_of};
use std::ffi::CStr;
use std::io::{Error, Result};
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd, RawFd};

pub(super) fn own(fd: c_int) -> Result<OwnedFd> {
    let fd = check(fd)?;
    // SAFETY: the kernel has just handed out this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Reads what there is, at most the buffer's length; 0 at the end.
pub fn read(fd: &OwnedFd, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the pointer and the length describe one live, writable slice.
    check_size(unsafe {
        super::ffi::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len())
    })
}

/// The most pieces of [`read_pieces`].
const MOST_PIECES: usize = 16;

/// Appends what there is, at most `most` bytes, to `out`: cut into pieces of `piece` bytes, each behind `gap` zeros, which the
/// caller may fill. One call of the kernel, so that whoever has filled a pipe is woken when it is empty, not for each piece.
/// Returns how many bytes were read; 0 at the end.
pub fn read_pieces(
    fd: &impl AsRawFd,
    out: &mut Vec<u8>,
    most: usize,
    (gap, piece): (usize, usize),
) -> Result<usize> {
    let most = most.min(MOST_PIECES * piece);
    let pieces = (most + piece - 1) / piece;
    let start = out.len();
    out.reserve(most + pieces * gap);
    let free = out.spare_capacity_mut();
    let mut parts = [iovec {
        base: std::ptr::null_mut(),
        length: 0,
    }; MOST_PIECES];
    for (index, part) in parts[..pieces].iter_mut().enumerate() {
        part.length = piece.min(most - index * piece);
        let from = index * (gap + piece) + gap;
        part.base = free[from..from + part.length].as_mut_ptr().cast();
    }
    // SAFETY: each part is a stretch of its own of the vector's spare capacity, which nobody else looks at.
    let count = check_size(unsafe { readv(fd.as_raw_fd(), parts.as_ptr(), pieces as c_int) })?;
    let filled = (count + piece - 1) / piece;
    for index in 0..filled {
        for byte in &mut free[index * (gap + piece)..][..gap] {
            byte.write(0);
        }
    }
    // SAFETY: readv(2) fills one part after the other, and the gaps before those that have something are zeros.
    unsafe { out.set_len(start + filled * gap + count) };
    Ok(count)
}

/// Has a pipe hold so many bytes, unless it holds more already.
pub fn widen_pipe(fd: &OwnedFd, bytes: usize) -> Result<()> {
    // SAFETY: fcntl with integer arguments touches no memory of ours.
    unsafe {
        if check(fcntl(fd.as_raw_fd(), F_GETPIPE_SZ))? < bytes as c_int {
            check(fcntl(fd.as_raw_fd(), F_SETPIPE_SZ, bytes as c_int))?;
        }
    }
    Ok(())
}

/// Bytes that a pipe holds and nobody has read.
pub fn unread(fd: &OwnedFd) -> Result<usize> {
    let mut count: c_int = 0;
    // SAFETY: FIONREAD writes an int, which lives through the call.
    check(unsafe { ioctl(fd.as_raw_fd(), FIONREAD, &mut count as *mut c_int) })?;
    Ok(count as usize)
}

/// Writes as much as fits now and returns how many bytes that was.
pub fn write(fd: &OwnedFd, bytes: &[u8]) -> Result<usize> {
    write_raw(fd.as_raw_fd(), bytes)
}

/// `write` for a forked child, which knows its descriptors by number.
pub fn write_raw(fd: RawFd, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the pointer and the length describe one live slice.
    check_size(unsafe { super::ffi::write(fd, bytes.as_ptr().cast(), bytes.len()) })
}

fn open(path: &CStr, flags: c_int) -> Result<OwnedFd> {
    // SAFETY: `path` is a NUL-terminated string; without O_CREAT open(2) reads no third argument.
    own(unsafe { super::ffi::open(path.as_ptr(), flags | O_CLOEXEC) })
}

/// Opens a device for reading and writing without blocking and without making it the controlling terminal.
pub fn open_device(path: &CStr) -> Result<OwnedFd> {
    open(path, O_RDWR | O_NONBLOCK | O_NOCTTY)
}

/// Opens a device for reading and writing whose calls wait.
pub fn open_waiting_device(path: &CStr) -> Result<OwnedFd> {
    open(path, O_RDWR | O_NOCTTY)
}

/// Opens a place in the file tree only to name it later through /proc/self/fd.
pub fn open_path(path: &CStr) -> Result<OwnedFd> {
    open(path, O_PATH)
}

/// Like [open_path], and opens a link itself, not what it leads to.
pub fn open_path_itself(path: &CStr) -> Result<OwnedFd> {
    open(path, O_PATH | O_NOFOLLOW)
}

/// Opens /dev/null for reading and writing.
pub fn open_null() -> Result<OwnedFd> {
    open(
        CStr::from_bytes_with_nul(b"/dev/null\0").unwrap_or_default(),
        O_RDWR,
    )
}

/// Returns the read end and the write end of a pipe; both block.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    // SAFETY: the array has room for the two descriptors.
    check(unsafe { pipe2(fds.as_mut_ptr(), O_CLOEXEC) })?;
    Ok((own(fds[0])?, own(fds[1])?))
}

pub fn set_nonblocking(fd: &OwnedFd) -> Result<()> {
    // SAFETY: fcntl with integer arguments touches no memory of ours.
    unsafe {
        let flags = check(fcntl(fd.as_raw_fd(), F_GETFL))?;
        check(fcntl(fd.as_raw_fd(), F_SETFL, flags | O_NONBLOCK))?;
    }
    Ok(())
}

/// A second descriptor of the same open file.
pub fn duplicate(fd: &OwnedFd) -> Result<OwnedFd> {
    // SAFETY: as in `set_nonblocking`.
    own(unsafe { fcntl(fd.as_raw_fd(), F_DUPFD_CLOEXEC, 3) })
}

const SEEK_DATA: c_int = 3;
const SEEK_HOLE: c_int = 4;

/// The next stretch of data at or after `from`, as its beginning and end; None when only a hole is left (lseek(2)).
pub fn next_data(file: &impl AsRawFd, from: u64) -> Result<Option<(u64, u64)>> {
    let seek = |offset: i64, whence| {
        // SAFETY: no memory is passed, and the descriptor is open while `file` is borrowed.
        check_offset(unsafe { lseek64(file.as_raw_fd(), offset, whence) })
    };
    let start = match seek(from as i64, SEEK_DATA) {
        Err(error) if errno_of(&error) == ENXIO => return Ok(None),
        start => start?,
    };
    Ok(Some((start as u64, seek(start, SEEK_HOLE)? as u64)))
}

fn check_offset(result: i64) -> Result<i64> {
    match result {
        -1 => Err(Error::last_os_error()),
        offset => Ok(offset),
    }
}
