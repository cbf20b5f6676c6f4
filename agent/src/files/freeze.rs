//! The upper disk as it is at one moment: its file system is frozen while the host copies it.

use super::failed::{During, Outcome};
use super::link::Link;
use crate::generated::messages::Message;
use crate::sys::{self, ETIMEDOUT};
use std::fs::File;
use std::io::Error;
use std::time::Duration;

/// What errors call it.
const DISK: &str = "the upper disk";

/// Freezes the file system that `place` is on until the supervisor has copied it, wants no more of it, or the limit has passed. Whoever
/// writes to it waits meanwhile: nobody but this worker's thread may.
pub fn hold(place: &File, limit: Duration, link: &Link) -> Outcome<()> {
    // It may have been frozen by somebody else: then it is not this one's to thaw.
    sys::freeze_file_system(place).during("freeze", DISK)?;
    link.tell(Message::DiskFrozen);
    let copied = link.wanted_within(limit);
    // Fails when somebody in the guest has thawed it.
    sys::thaw_file_system(place).during("thaw", DISK)?;
    match copied.during("hold", DISK)? {
        true => Ok(()),
        false => Err(Error::from_raw_os_error(ETIMEDOUT)).during("hold", DISK),
    }
}
