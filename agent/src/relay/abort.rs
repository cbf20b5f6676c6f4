//! The end of file systems of the host's whose answers will not come any more. With the last descriptor of its device a mount is over,
//! but that may be held by somebody who tells the kernel what is no longer so and waits there for a lock, which is held by whoever
//! waits for an answer. So the kernel is told (linux/Documentation/filesystems/fuse.rst, "The fuse control filesystem").

use crate::sys;
use std::fs;
use std::io::Result;

const CONTROL: &str = "/sys/fs/fuse/connections";
/// What mounts of the relay have as their source.
pub const SOURCE: &str = "host";

/// Whoever waits for an answer gets an error, and so does whoever asks from now on.
pub fn abort_all() -> Result<()> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let connections = connections(&table);
    if connections.is_empty() {
        return Ok(());
    }
    let mounted = sys::mount("fusectl", CONTROL, "fusectl", 0, "");
    let aborted = connections
        .iter()
        .map(|connection| fs::write(format!("{CONTROL}/{connection}/abort"), "1"))
        .fold(Ok(()), Result::and);
    if mounted.is_ok() {
        sys::detach_mount(CONTROL)?;
    }
    aborted
}

/// The numbers of the connections of the relay's mounts: the minor ones of their devices (proc(5), mountinfo: the third field; after a
/// dash come the type and the source).
fn connections(table: &str) -> Vec<&str> {
    let mut found: Vec<&str> = table
        .lines()
        .filter(|line| {
            let mut after = line.split(" - ").skip(1).flat_map(|rest| rest.split(' '));
            (after.next(), after.next()) == (Some("fuse"), Some(SOURCE))
        })
        .filter_map(|line| line.split(' ').nth(2)?.split(':').nth(1))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_connection_of_its_own_mounts_once() {
        let table = "20 1 0:5 / /work rw - tmpfs a rw\n21 1 0:41 / /work rw shared:1 - fuse host rw\n\
            22 1 0:41 /in /elsewhere rw - fuse host rw\n23 1 0:42 / /x rw - fuse sshfs rw\n24 1 0:7 / /y rw - fuse host rw\n";
        assert_eq!(connections(table), ["41", "7"]);
        assert!(connections("").is_empty());
    }
}
