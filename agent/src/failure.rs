//! What goes wrong on the way to a usable guest, in the words of `BootFailed`.

use crate::generated::messages::BootFailed;
use crate::sys;
use std::fmt::Display;
use std::io;

/// The protocol's two ends do not fit.
pub const PROTOCOL: &str = "protocol";
/// A disk is missing or cannot be mounted.
pub const MOUNT: &str = "mount";
/// A root of the user's has no place for a file system that every guest has.
pub const MOUNT_POINT: &str = "mount point";
/// Anything else inside the guest.
pub const GUEST: &str = "guest";
/// The directory in which commands are to run is not there.
pub const WORKDIR: &str = "workdir";

/// Says what was being done when a call failed.
pub trait While<T> {
    fn during(self, step: &'static str, what: impl Display) -> Result<T, BootFailed>;
}

impl<T> While<T> for io::Result<T> {
    fn during(self, step: &'static str, what: impl Display) -> Result<T, BootFailed> {
        self.map_err(|error| BootFailed {
            step: String::from(step),
            errno: sys::errno_of(&error),
            message: format!("{what}: {error}"),
        })
    }
}
