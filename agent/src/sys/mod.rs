//! The system calls that the standard library does not offer, behind functions that cannot be misused from safe code.
//! The only part of the agent with `unsafe`. Paths are taken as `&CStr` where the caller may be a freshly forked child.

mod ffi;
mod files;
mod io;
mod kernel;
mod poll;
mod process;
mod terminal;

pub use ffi::{
    EACCES, EBUSY, ECANCELED, EEXIST, EFBIG, EINVAL, EIO, EISDIR, ELOOP, EMFILE, ENAMETOOLONG,
    ENODEV, ENOENT, ENOSYS, ENOTDIR, EOPNOTSUPP, EPERM, EROFS, ESHUTDOWN, ESTALE, ETIMEDOUT, EXDEV,
    O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, SIGCHLD, SIGCONT, SIGKILL, SIGTERM, SIGUSR1, SIGUSR2,
};
pub use files::*;
pub use io::*;
pub use kernel::*;
pub use poll::*;
pub use process::*;
pub use terminal::*;

use std::io::{Error, Result};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The number of the last failed call; 0 for an error that no system call reported.
pub fn errno_of(error: &Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}

/// The system's words without the number, which travels beside them.
pub fn words_of(error: &Error) -> String {
    let text = error.to_string();
    String::from(text.split(" (os error").next().unwrap_or(&text))
}

/// A thread that panics ends the agent, so nobody leaves a lock half done.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Turns the -1 of a C function into its error.
fn check(result: ffi::c_int) -> Result<ffi::c_int> {
    if result < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn check_long(result: ffi::c_long) -> Result<()> {
    if result < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(())
    }
}

fn check_size(result: isize) -> Result<usize> {
    if result < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(result as usize)
    }
}
