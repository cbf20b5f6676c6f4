//! What happens to a file or in a directory, as inotify(7) tells it. The kernel keeps what nobody has asked for yet, and says
//! so when that was too much.

use super::failed::{During, Outcome};
use super::link::Link;
use crate::generated::messages::{FileChange, FileChangeKind, FileChanges, FileOpened, Message};
use crate::sys::{self, Wake};
use std::collections::VecDeque;
use std::io::{ErrorKind, Result};
use std::os::unix::io::OwnedFd;
use std::path::Path;
use std::sync::Arc;

/// In one message.
const MOST_CHANGES: usize = 256;
/// Bytes; room for many events, of which each has a name of 255 bytes at most.
const BUFFER: usize = 16 << 10;

const IS_DIRECTORY: u32 = 0x4000_0000;
/// Of linux/inotify.h, and what each means; the first that an event has counts.
const KINDS: [(u32, FileChangeKind); 11] = [
    (0x4000, FileChangeKind::Overflow),
    (0x400, FileChangeKind::Gone),
    (0x800, FileChangeKind::Gone),
    (0x2000, FileChangeKind::Gone),
    (0x100, FileChangeKind::Created),
    (0x200, FileChangeKind::Deleted),
    (0x40, FileChangeKind::MovedFrom),
    (0x80, FileChangeKind::MovedTo),
    (0x2, FileChangeKind::Modified),
    (0x8, FileChangeKind::Closed),
    (0x4, FileChangeKind::Attributes),
];
/// All of those but overflow and unmount, which come unasked.
const MASK: u32 = 0xfce;

pub fn watch(path: &Path, link: &Link) -> Outcome<()> {
    let wake = Arc::new(Wake::new().during("watch", path)?);
    link.wake_by(&wake);
    let events = sys::inotify().during("watch", path)?;
    let watched = sys::watch(&events, path, MASK).during("watch", path)?;
    link.tell(Message::FileOpened(FileOpened { size: 0 }));
    let mut changes = VecDeque::new();
    loop {
        link.wanted().during("watch", path)?;
        while changes.is_empty() {
            link.check().during("watch", path)?;
            if read(&events, &mut changes).during("watch", path)? {
                let overflown = changes.back().map(|last: &FileChange| last.kind);
                // What the kernel has left out may have been the end.
                if overflown == Some(FileChangeKind::Overflow)
                    && sys::watch(&events, path, MASK).map_or(true, |now| now != watched)
                {
                    changes.push_back(gone());
                }
            } else {
                sys::poll_either(&events, wake.fd()).during("watch", path)?;
                wake.clear();
            }
        }
        let count = changes.len().min(MOST_CHANGES);
        let some: Vec<FileChange> = changes.drain(..count).collect();
        let gone = some
            .iter()
            .any(|change| change.kind == FileChangeKind::Gone);
        link.tell(Message::FileChanges(FileChanges { changes: some }));
        if gone {
            return Ok(());
        }
    }
}

fn gone() -> FileChange {
    FileChange {
        kind: FileChangeKind::Gone,
        name: Vec::new(),
        is_directory: false,
        cookie: 0,
    }
}

/// Whether there was something to read.
fn read(events: &OwnedFd, changes: &mut VecDeque<FileChange>) -> Result<bool> {
    let mut buffer = [0; BUFFER];
    match sys::read(events, &mut buffer) {
        Ok(count) => parse(&buffer[..count], changes),
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
        Err(error) => return Err(error),
    }
    Ok(true)
}

/// struct inotify_event: watch, mask, cookie, length of the name, and the name with NULs behind it.
fn parse(mut bytes: &[u8], changes: &mut VecDeque<FileChange>) {
    let number = |bytes: &[u8], at: usize| {
        let mut number = [0; 4];
        number.copy_from_slice(&bytes[at..at + 4]);
        u32::from_ne_bytes(number)
    };
    while bytes.len() >= 16 {
        let (mask, cookie) = (number(bytes, 4), number(bytes, 8));
        let end = bytes.len().min(16 + number(bytes, 12) as usize);
        let name = &bytes[16..end];
        let name = name.split(|byte| *byte == 0).next().unwrap_or(name);
        let kind = KINDS.iter().find(|(bit, _)| mask & bit != 0);
        if let Some((_, kind)) = kind {
            changes.push_back(FileChange {
                kind: *kind,
                name: name.to_vec(),
                is_directory: mask & IS_DIRECTORY != 0,
                cookie,
            });
        }
        bytes = &bytes[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(mask: u32, cookie: u32, name: &[u8]) -> Vec<u8> {
        let mut bytes = 1u32.to_ne_bytes().to_vec();
        for number in [mask, cookie, name.len() as u32] {
            bytes.extend(number.to_ne_bytes());
        }
        bytes.extend(name);
        bytes
    }

    #[test]
    fn reads_what_the_kernel_writes() {
        let mut bytes = event(0x100 | IS_DIRECTORY, 0, b"made\0\0\0\0");
        bytes.extend(event(0x40, 7, b"\xff\0\0\0"));
        // IN_IGNORED says nothing that has not been said.
        bytes.extend(event(0x8000, 0, b""));
        bytes.extend(event(0x4000, 0, b""));
        let mut changes = VecDeque::new();
        parse(&bytes, &mut changes);
        let told: Vec<_> = changes
            .iter()
            .map(|change| {
                (
                    change.kind,
                    &change.name[..],
                    change.is_directory,
                    change.cookie,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (FileChangeKind::Created, &b"made"[..], true, 0),
                (FileChangeKind::MovedFrom, &b"\xff"[..], false, 7),
                (FileChangeKind::Overflow, &b""[..], false, 0),
            ]
        );
    }
}
