//! Waiting: epoll, and the signals that arrive as a descriptor.

use super::ffi::*;
use super::io::own;
use super::{check, errno_of};
use std::io::Result;
use std::os::unix::io::{AsRawFd, OwnedFd};

pub const READABLE: u32 = 0x1;
pub const WRITABLE: u32 = 0x4;
pub const HANG_UP: u32 = 0x10;
/// After one report the descriptor stays silent until it is armed again.
pub const ONCE: u32 = 1 << 30;

pub struct Epoll {
    fd: OwnedFd,
}

impl Epoll {
    pub fn new() -> Result<Epoll> {
        // SAFETY: no pointers.
        let fd = own(unsafe { epoll_create1(EPOLL_CLOEXEC) })?;
        Ok(Epoll { fd })
    }

    pub fn add(&self, fd: &impl AsRawFd, events: u32, token: u64) -> Result<()> {
        self.control(EPOLL_CTL_ADD, fd, events, token)
    }

    pub fn modify(&self, fd: &OwnedFd, events: u32, token: u64) -> Result<()> {
        self.control(EPOLL_CTL_MOD, fd, events, token)
    }

    pub fn remove(&self, fd: &OwnedFd) -> Result<()> {
        self.control(EPOLL_CTL_DEL, fd, 0, 0)
    }

    fn control(&self, operation: c_int, fd: &impl AsRawFd, events: u32, token: u64) -> Result<()> {
        let mut event = epoll_event {
            events,
            data: token,
        };
        // SAFETY: `event` lives through the call, which copies it.
        check(unsafe { epoll_ctl(self.fd.as_raw_fd(), operation, fd.as_raw_fd(), &mut event) })
            .map(drop)
    }

    /// Waits for events, at most `timeout_ms` milliseconds (-1: as long as it takes), and replaces the content of `out`
    /// by the tokens of the descriptors that have some.
    pub fn wait(&self, out: &mut Vec<u64>, timeout_ms: i32) -> Result<()> {
        const BATCH: usize = 64;
        let mut events = [epoll_event { events: 0, data: 0 }; BATCH];
        out.clear();
        // SAFETY: the array has room for BATCH events.
        let result = check(unsafe {
            epoll_wait(
                self.fd.as_raw_fd(),
                events.as_mut_ptr(),
                BATCH as c_int,
                timeout_ms,
            )
        });
        let count = match result {
            Ok(count) => count as usize,
            Err(error) if errno_of(&error) == EINTR => 0,
            Err(error) => return Err(error),
        };
        out.extend(events[..count].iter().map(|event| event.data));
        Ok(())
    }
}

/// Waits for one descriptor, at most `timeout_ms` milliseconds. Returns its events; 0 when the time is over.
pub fn poll_one(fd: &OwnedFd, events: u32, timeout_ms: i32) -> Result<u32> {
    let mut entry = pollfd {
        fd: fd.as_raw_fd(),
        events: events as i16,
        revents: 0,
    };
    // SAFETY: one live entry. poll(2) and epoll share the numbers of the events used here.
    check(unsafe { poll(&mut entry, 1, timeout_ms) })?;
    Ok(entry.revents as u16 as u32)
}

/// Waits until one of two descriptors can be read, or is at its end. Says whether the second one is among them.
pub fn poll_either(first: &OwnedFd, second: &OwnedFd) -> Result<bool> {
    let mut entries = [first, second].map(|fd| pollfd {
        fd: fd.as_raw_fd(),
        events: READABLE as i16,
        revents: 0,
    });
    // SAFETY: two live entries.
    match check(unsafe { poll(entries.as_mut_ptr(), 2, -1) }) {
        Err(error) if errno_of(&error) == EINTR => Ok(false),
        Err(error) => Err(error),
        Ok(_) => Ok(entries[1].revents != 0),
    }
}

/// Blocks these signals and returns a descriptor from which they are read with `next_signal`.
pub fn signals(list: &[i32]) -> Result<OwnedFd> {
    let mut set = sigset_t { bits: [0; 16] };
    for signal in list {
        set.bits[0] |= 1 << (signal - 1);
    }
    // SAFETY: `set` lives through both calls; no old set is asked for.
    unsafe {
        check(sigprocmask(SIG_BLOCK, &set, std::ptr::null_mut()))?;
        own(signalfd(-1, &set, O_CLOEXEC | O_NONBLOCK))
    }
}

/// The number of the next pending signal.
pub fn next_signal(fd: &OwnedFd) -> Option<i32> {
    // struct signalfd_siginfo: 128 bytes, the first four are the signal's number.
    let mut info = [0; 128];
    match super::read(fd, &mut info) {
        Ok(128) => Some(i32::from_ne_bytes([info[0], info[1], info[2], info[3]])),
        _ => None,
    }
}
