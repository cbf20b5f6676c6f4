//! What the host says that nobody asked for: that something the kernel believes is no longer so. To take it in the kernel locks the
//! directory or the pages it is about, and whoever has them locked may be waiting for an answer. So these have a queue and a thread
//! of their own, and no answer ever waits for them.

use crate::sys::{self, locked};
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::os::unix::io::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Bytes that may wait. What is more is dropped, and the host is told that it was: it says again what is still so.
const MOST: usize = 1 << 20;
/// What one in the queue takes beside its own bytes.
const EACH: usize = 128;

/// One that waits, with the number of its mount before it as on the port.
type Notice = Arc<[u8]>;

#[derive(Default)]
struct Waiting {
    queue: VecDeque<(Arc<OwnedFd>, Notice)>,
    /// The same: saying one thing twice is of no use.
    known: HashSet<Notice>,
    bytes: usize,
    /// Mounts of which something was dropped.
    lost: BTreeSet<u32>,
    is_over: bool,
}

/// What is done next.
enum Next {
    Give(Arc<OwnedFd>, Notice),
    TellLost(u32),
}

/// The queue.
#[derive(Default)]
pub struct Notices {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Notices {
    /// Never waits. `message` is the kernel's, after the number of its mount.
    pub fn add(&self, device: Arc<OwnedFd>, message: &[u8]) {
        let mut waiting = locked(&self.waiting);
        let bytes = message.len() + EACH;
        if waiting.is_over || waiting.known.contains(message) {
            return;
        }
        if waiting.bytes + bytes > MOST {
            let mount = u32::from_le_bytes([message[0], message[1], message[2], message[3]]);
            waiting.lost.insert(mount);
            return;
        }
        let notice = Notice::from(message);
        waiting.bytes += bytes;
        waiting.known.insert(notice.clone());
        waiting.queue.push_back((device, notice));
        self.changed.notify_one();
    }

    /// Gives them to the kernel as they come, until the end. `tell_lost` is called with the number of a mount of which some were
    /// dropped, when there is room again.
    pub fn carry(&self, prefix: usize, tell_lost: impl Fn(u32)) {
        while let Some(next) = self.next() {
            match next {
                // Refused when the kernel knows nothing of what it is about.
                Next::Give(device, notice) => drop(sys::write(&device, &notice[prefix..])),
                Next::TellLost(mount) => tell_lost(mount),
            }
        }
    }

    /// What waits is dropped, and nothing more is taken.
    pub fn end(&self) {
        let mut waiting = locked(&self.waiting);
        *waiting = Waiting {
            is_over: true,
            ..Waiting::default()
        };
        self.changed.notify_all();
    }

    fn next(&self) -> Option<Next> {
        let mut waiting = locked(&self.waiting);
        loop {
            if let Some((device, notice)) = waiting.queue.pop_front() {
                waiting.known.remove(&notice);
                waiting.bytes -= notice.len() + EACH;
                return Some(Next::Give(device, notice));
            }
            let lost = waiting.lost.iter().next().copied();
            if let Some(mount) = lost {
                waiting.lost.remove(&mount);
                return Some(Next::TellLost(mount));
            }
            if waiting.is_over {
                return None;
            }
            waiting = self
                .changed
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Arc<OwnedFd> {
        Arc::new(sys::pipe().unwrap().1)
    }

    /// The next one that is given to the kernel.
    fn given(notices: &Notices) -> Notice {
        match notices.next() {
            Some(Next::Give(_, notice)) => notice,
            _ => panic!("there is none"),
        }
    }

    #[test]
    fn hold_what_waits_once_and_no_more_than_so_much() {
        let (notices, device) = (Notices::default(), device());
        for _ in 0..3 {
            notices.add(device.clone(), b"one");
            notices.add(device.clone(), b"two");
        }
        assert_eq!(&*given(&notices), b"one");
        // It may have become true again, and false again, since that was taken.
        notices.add(device.clone(), b"one");
        assert_eq!(&*given(&notices), b"two");
        assert_eq!(&*given(&notices), b"one");
        for each in 0..1_000_000_u32 {
            let message = [7_u32.to_le_bytes(), each.to_le_bytes()].concat();
            notices.add(device.clone(), &message);
        }
        let held = locked(&notices.waiting).queue.len();
        assert_eq!(held, MOST / (8 + EACH));
        for _ in 0..held {
            given(&notices);
        }
        // That some were dropped is told once, when there is room.
        assert!(matches!(notices.next(), Some(Next::TellLost(7))));
        // All of the room is there again.
        notices.add(device, &[7; MOST - EACH]);
        assert_eq!(given(&notices).len(), MOST - EACH);
        notices.end();
        assert!(notices.next().is_none());
    }

    #[test]
    fn end_whoever_carries_them() {
        let notices = Arc::new(Notices::default());
        let its = notices.clone();
        let carrier = std::thread::spawn(move || its.carry(0, |_| ()));
        notices.end();
        carrier.join().unwrap();
        notices.add(device(), b"late");
        assert!(notices.next().is_none());
    }
}
