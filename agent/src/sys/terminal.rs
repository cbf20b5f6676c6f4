//! Pseudo-terminals, see pty(7) and devpts in the kernel's documentation.

use super::check;
use super::ffi::*;
use super::io::{open_device, own};
use std::ffi::CStr;
use std::io::Result;
use std::os::unix::io::{AsRawFd, OwnedFd, RawFd};

/// Opens a new pseudo-terminal and returns its master, non-blocking, and its slave.
pub fn open_terminal(rows: u16, cols: u16) -> Result<(OwnedFd, OwnedFd)> {
    let path = CStr::from_bytes_with_nul(b"/dev/pts/ptmx\0").unwrap_or_default();
    let master = open_device(path)?;
    let unlock: c_int = 0;
    // SAFETY: TIOCSPTLCK reads an int, which lives through the call; TIOCGPTPEER takes flags and returns a descriptor.
    let slave = unsafe {
        check(ioctl(
            master.as_raw_fd(),
            TIOCSPTLCK,
            &unlock as *const c_int,
        ))?;
        own(ioctl(
            master.as_raw_fd(),
            TIOCGPTPEER,
            O_RDWR | O_NOCTTY | O_CLOEXEC,
        ))?
    };
    resize_terminal(&master, rows, cols)?;
    Ok((master, slave))
}

/// Sets the size in characters; the kernel tells the foreground processes with SIGWINCH.
pub fn resize_terminal(master: &OwnedFd, rows: u16, cols: u16) -> Result<()> {
    let size = winsize {
        rows,
        cols,
        x_pixels: 0,
        y_pixels: 0,
    };
    // SAFETY: TIOCSWINSZ reads a winsize, which lives through the call.
    check(unsafe { ioctl(master.as_raw_fd(), TIOCSWINSZ, &size as *const winsize) }).map(drop)
}

/// Makes a terminal the controlling one of the caller's new session.
pub fn take_terminal(slave: RawFd) -> Result<()> {
    // SAFETY: TIOCSCTTY takes an integer.
    check(unsafe { ioctl(slave, TIOCSCTTY, 0) }).map(drop)
}
