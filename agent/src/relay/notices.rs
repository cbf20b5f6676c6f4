//! What the host says that nobody asked for: that something the kernel believes is no longer so. To take it in the kernel locks the
//! directory or the pages it is about, and whoever has them locked may be waiting for an answer. So these have a queue and a thread
//! of their own, and no answer ever waits for them.

use crate::sys::{self, locked};
use std::collections::{HashSet, VecDeque};
use std::os::unix::io::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Bytes that may wait. What is more is dropped: the kernel then believes what it was told until that runs out.
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
    is_over: bool,
}

/// The queue.
#[derive(Default)]
pub struct Notices {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Notices {
    /// Never waits. `message` is the kernel's, after its first `prefix` bytes.
    pub fn add(&self, device: Arc<OwnedFd>, message: &[u8]) {
        let mut waiting = locked(&self.waiting);
        let bytes = message.len() + EACH;
        if waiting.is_over || waiting.bytes + bytes > MOST || waiting.known.contains(message) {
            return;
        }
        let notice = Notice::from(message);
        waiting.bytes += bytes;
        waiting.known.insert(notice.clone());
        waiting.queue.push_back((device, notice));
        self.changed.notify_one();
    }

    /// Gives them to the kernel as they come, until the end.
    pub fn carry(&self, prefix: usize) {
        while let Some((device, notice)) = self.next() {
            // Refused when the kernel knows nothing of what it is about.
            let _ = sys::write(&device, &notice[prefix..]);
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

    fn next(&self) -> Option<(Arc<OwnedFd>, Notice)> {
        let mut waiting = locked(&self.waiting);
        loop {
            if let Some((device, notice)) = waiting.queue.pop_front() {
                waiting.known.remove(&notice);
                waiting.bytes -= notice.len() + EACH;
                return Some((device, notice));
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

    #[test]
    fn hold_what_waits_once_and_no_more_than_so_much() {
        let (notices, device) = (Notices::default(), device());
        for _ in 0..3 {
            notices.add(device.clone(), b"one");
            notices.add(device.clone(), b"two");
        }
        assert_eq!(&*notices.next().unwrap().1, b"one");
        // It may have become true again, and false again, since that was taken.
        notices.add(device.clone(), b"one");
        assert_eq!(&*notices.next().unwrap().1, b"two");
        assert_eq!(&*notices.next().unwrap().1, b"one");
        for each in 0..1_000_000_u32 {
            notices.add(device.clone(), &each.to_le_bytes());
        }
        let held = locked(&notices.waiting).queue.len();
        assert_eq!(held, MOST / (4 + EACH));
        for _ in 0..held {
            notices.next().unwrap();
        }
        // All of the room is there again.
        notices.add(device, &[7; MOST - EACH]);
        assert_eq!(notices.next().unwrap().1.len(), MOST - EACH);
    }

    #[test]
    fn end_whoever_carries_them() {
        let notices = Arc::new(Notices::default());
        let its = notices.clone();
        let carrier = std::thread::spawn(move || its.carry(0));
        notices.end();
        carrier.join().unwrap();
        notices.add(device(), b"late");
        assert!(notices.next().is_none());
    }
}
