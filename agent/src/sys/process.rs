//! Processes: starting one and what a child does before its program takes over, signals, reaping.

use super::ffi::*;
use super::io::own;
use super::{check, check_long, errno_of};
use std::ffi::{CStr, CString};
use std::io::{Error, Result};
use std::os::unix::io::{AsRawFd, OwnedFd, RawFd};

/// Strings in the form that execve wants, made before the fork: a child must not allocate.
pub struct StringArray {
    _strings: Vec<CString>,
    /// Points into the heap blocks of `_strings`, which do not move; ends with a null pointer.
    pointers: Vec<*const c_char>,
}

impl StringArray {
    pub fn new(strings: Vec<CString>) -> StringArray {
        let mut pointers: Vec<*const c_char> = strings.iter().map(|s| s.as_ptr()).collect();
        pointers.push(std::ptr::null());
        StringArray {
            _strings: strings,
            pointers,
        }
    }
}

/// Bytes; the child's calls are shallow, and only the pages that it touches cost anything.
const CHILD_STACK: usize = 64 << 10;

/// Starts a process that runs `child` in this very memory, on a stack of its own, while the caller stands still until
/// the child has become another program or has ended (clone(2) with CLONE_VM and CLONE_VFORK). What the child leaves in
/// variables the caller finds there. Compared with fork no page table is copied and no page is copied on write, which
/// is most of what starting a small program costs under software emulation.
///
/// Returns the child's pid. A child that returns from the closure ends.
pub fn start_child(child: &mut dyn FnMut()) -> Result<i32> {
    let mut stack: Vec<u8> = Vec::with_capacity(CHILD_STACK);
    let mut child = child;
    // SAFETY: the agent's event loop, the only thread that starts children, is suspended while the child uses its memory,
    // so this is a call on another stack, beside which the other threads go on as they do beside the event loop. The stack grows down from an address within its block, aligned as both ABIs ask; it and the
    // closure outlive the child's use of them.
    check(unsafe {
        let top = (stack.as_mut_ptr() as usize + CHILD_STACK) & !15;
        clone(
            enter_child,
            top as *mut c_void,
            CLONE_VM | CLONE_VFORK | SIGCHLD,
            &mut child as *mut &mut dyn FnMut() as *mut c_void,
        )
    })
}

extern "C" fn enter_child(argument: *mut c_void) -> c_int {
    // SAFETY: `start_child` passes a pointer to its closure. The value returned becomes the exit code.
    unsafe { (*(argument as *mut &mut dyn FnMut()))() };
    127
}

/// Replaces the program; returns only the errno of the failure.
pub fn execve(path: &CStr, argv: &StringArray, envp: &StringArray) -> i32 {
    // SAFETY: both arrays end with a null pointer and outlive the call.
    unsafe {
        super::ffi::execve(
            path.as_ptr(),
            argv.pointers.as_ptr(),
            envp.pointers.as_ptr(),
        );
    }
    errno_of(&Error::last_os_error())
}

/// Lets every signal through and gives SIGPIPE, which Rust's runtime ignores, its default back. The others never changed.
pub fn reset_signals() {
    let empty = sigset_t { bits: [0; 16] };
    // SAFETY: `empty` lives through the call; SIG_DFL is a valid handler.
    unsafe {
        sigprocmask(SIG_SETMASK, &empty, std::ptr::null_mut());
        signal(SIGPIPE, SIG_DFL);
    }
}

/// Makes the caller the leader of a new session and process group.
pub fn new_session() -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { setsid() }).map(drop)
}

/// Makes `to` a copy of `from` that survives execve.
pub fn copy_fd(from: RawFd, to: RawFd) -> Result<()> {
    // SAFETY: no pointers; only a child, which owns nothing else, uses it.
    check(unsafe { dup2(from, to) }).map(drop)
}

/// Sets user, group and supplementary groups, in the order that keeps the right to do so until the end.
///
/// By the kernel's own calls: the C library's change all threads of the process, and a child that shares the agent's memory
/// sees those of the agent as its own.
pub fn become_user(uid: u32, gid: u32, groups: &[u32]) -> Result<()> {
    // SAFETY: pointer and length describe one live slice.
    unsafe {
        check_long(syscall(SYS_SETGROUPS, groups.len(), groups.as_ptr()))?;
        check_long(syscall(SYS_SETGID, gid as c_ulong))?;
        check_long(syscall(SYS_SETUID, uid as c_ulong))?;
    }
    Ok(())
}

/// Sets a resource limit; `u64::MAX` is RLIM_INFINITY.
pub fn set_limit(resource: i32, soft: u64, hard: u64) -> Result<()> {
    let limit = rlimit { soft, hard };
    // SAFETY: `limit` lives through the call.
    check(unsafe { setrlimit(resource, &limit) }).map(drop)
}

pub fn set_open_files_limit(soft: u64, hard: u64) -> Result<()> {
    set_limit(RLIMIT_NOFILE, soft, hard)
}

pub fn set_umask(mask: u32) {
    // SAFETY: no pointers; cannot fail.
    unsafe { umask(mask) };
}

pub fn change_directory(path: &CStr) -> Result<()> {
    // SAFETY: a NUL-terminated string.
    check(unsafe { chdir(path.as_ptr()) }).map(drop)
}

/// Sends a signal: to a process, with -pgid to a process group, with -1 to every process but the caller.
pub fn send_signal(target: i32, signal: i32) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { kill(target, signal) }).map(drop)
}

/// A process, for [`descriptor_of`] (pidfd_open(2)).
pub fn open_process(pid: i32) -> Result<OwnedFd> {
    // SAFETY: no pointers.
    own(unsafe { syscall(SYS_PIDFD_OPEN, pid as c_long, 0 as c_long) } as c_int)
}

/// What a process has open under a number, to use it as well (pidfd_getfd(2)).
pub fn descriptor_of(process: &OwnedFd, number: RawFd) -> Result<OwnedFd> {
    let process = process.as_raw_fd() as c_long;
    // SAFETY: no pointers.
    own(unsafe { syscall(SYS_PIDFD_GETFD, process, number as c_long, 0 as c_long) } as c_int)
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ending {
    /// The exit code, or 128 + signal.
    pub code: i32,
    /// The signal that ended it, or 0.
    pub signal: u8,
}

impl Ending {
    /// Reads a status word of wait(2).
    fn from_status(status: i32) -> Ending {
        let signal = status & 0x7f;
        if signal == 0 {
            Ending {
                code: (status >> 8) & 0xff,
                signal: 0,
            }
        } else {
            Ending {
                code: 128 + signal,
                signal: signal as u8,
            }
        }
    }
}

pub enum Reaped {
    Process(i32, Ending),
    /// There are children, and none has ended.
    NoneEnded,
    /// There are no children: for PID 1, no other process of the user's is left.
    NoChildren,
}

/// Takes the next child that has ended.
pub fn reap() -> Reaped {
    let mut status = 0;
    // SAFETY: `status` lives through the call.
    match check(unsafe { waitpid(-1, &mut status, WNOHANG) }) {
        Ok(0) => Reaped::NoneEnded,
        Ok(pid) => Reaped::Process(pid, Ending::from_status(status)),
        Err(_) => Reaped::NoChildren,
    }
}

#[cfg(test)]
mod tests {
    use super::Ending;

    #[test]
    fn reads_exit_codes_and_signals() {
        assert_eq!(Ending::from_status(7 << 8), Ending { code: 7, signal: 0 });
        assert_eq!(
            Ending::from_status(9),
            Ending {
                code: 137,
                signal: 9
            }
        );
        // The core-dump bit is not part of the signal's number.
        assert_eq!(
            Ending::from_status(0x80 | 11),
            Ending {
                code: 139,
                signal: 11
            }
        );
    }
}
