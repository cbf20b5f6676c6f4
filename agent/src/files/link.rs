//! What joins a worker with its stream. The event loop puts in what arrives; the worker takes it when it comes to it, and
//! leaves what is to be sent in the outbox of them all.

use crate::generated::limits::{CREDIT_PORTIONS, INITIAL_CREDIT, MAX_DATA_PAYLOAD};
use crate::generated::messages::{Failure, Message};
use crate::protocol::frame::{encode_frame, read_frames, FrameKind, HEADER_BYTES};
use crate::protocol::port::WRITE_BYTES;
use crate::sys::{locked, Wake, ECANCELED};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Bytes; what a file is sent in, headers included: several frames, which fill so many writes to the port. There is credit for
/// twice as much.
const FRAMES_BYTES: usize = 8 * WRITE_BYTES;

/// Bytes of what arrived that are told of together: a portion of credit.
const TOLD_BYTES: usize = INITIAL_CREDIT / CREDIT_PORTIONS;

/// What a worker leaves for the event loop.
pub enum Post {
    Message(Message),
    /// At most as many as there is credit for.
    Data(Vec<u8>),
    /// Whole frames of data, and how many bytes are in them: at most as many as there is credit for.
    Frames(Vec<u8>, usize),
    /// So many of the bytes that arrived are done with.
    Consumed(usize),
    /// The worker has let go of everything.
    Last(Message),
}

/// In the order in which it is to be sent. It is bounded by the credit of the streams.
pub struct Outbox {
    posts: Mutex<VecDeque<(u32, Post)>>,
    pub wake: Wake,
}

impl Outbox {
    pub fn new() -> Result<Outbox> {
        Ok(Outbox {
            posts: Mutex::default(),
            wake: Wake::new()?,
        })
    }

    pub fn post(&self, stream: u32, post: Post) {
        let mut posts = locked(&self.posts);
        posts.push_back((stream, post));
        if posts.len() == 1 {
            self.wake.wake();
        }
    }

    pub fn take(&self) -> Option<(u32, Post)> {
        locked(&self.posts).pop_front()
    }

    pub fn is_empty(&self) -> bool {
        locked(&self.posts).is_empty()
    }
}

#[derive(Default)]
struct State {
    /// Data that arrived, as it arrived.
    arrived: VecDeque<Vec<u8>>,
    ended: bool,
    /// Items that the supervisor has asked for.
    wanted: usize,
    credit: usize,
    /// The supervisor wants no more data.
    stopped: bool,
    aborted: Option<Failure>,
    /// The worker waits for a change.
    waits: bool,
    /// Woken as well as the worker.
    wake: Option<Arc<Wake>>,
}

/// The event loop's end.
pub struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    pub fn new() -> Shared {
        Shared {
            state: Mutex::new(State {
                credit: INITIAL_CREDIT,
                ..State::default()
            }),
            changed: Condvar::new(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = locked(&self.state);
        change(&mut state);
        if let Some(wake) = &state.wake {
            wake.wake();
        }
        // The call into the kernel costs as much as taking the change.
        if state.waits {
            self.changed.notify_one();
        }
    }

    pub fn data(&self, bytes: &[u8]) {
        self.change(|state| state.arrived.push_back(bytes.to_vec()));
    }

    pub fn end(&self) {
        self.change(|state| state.ended = true);
    }

    pub fn want(&self) {
        self.change(|state| state.wanted += 1);
    }

    pub fn grant(&self, bytes: usize) {
        self.change(|state| match bytes {
            0 => state.stopped = true,
            bytes => state.credit += bytes,
        });
    }

    pub fn abort(&self, failure: Failure) {
        self.change(|state| state.aborted = Some(failure));
    }

    /// Why the supervisor wants no more of it, if it does not.
    pub fn aborted(&self) -> Option<Failure> {
        locked(&self.state).aborted.clone()
    }
}

/// The worker's end.
pub struct Link {
    stream: u32,
    shared: Arc<Shared>,
    outbox: Arc<Outbox>,
    /// Bytes that were taken and the supervisor was not told of, those of the last piece included.
    taken: usize,
}

impl Link {
    pub fn new(stream: u32, shared: Arc<Shared>, outbox: Arc<Outbox>) -> Link {
        Link {
            stream,
            shared,
            outbox,
            taken: 0,
        }
    }

    /// Whether it is to go on. Whoever does something that takes long asks now and then.
    pub fn check(&self) -> Result<()> {
        still_wanted(&locked(&self.shared.state))
    }

    pub fn tell(&self, message: Message) {
        self.outbox.post(self.stream, Post::Message(message));
    }

    /// The last word.
    pub fn finish(self, message: Message) {
        self.outbox.post(self.stream, Post::Last(message));
    }

    /// Sends bytes, as soon as there is credit for them.
    pub fn send(&self, mut bytes: Vec<u8>) -> Result<()> {
        while !bytes.is_empty() {
            let mut state = self.wait(|state| state.credit > 0)?;
            let count = bytes.len().min(state.credit).min(MAX_DATA_PAYLOAD);
            state.credit -= count;
            drop(state);
            let rest = bytes.split_off(count);
            self.outbox.post(self.stream, Post::Data(bytes));
            bytes = rest;
        }
        Ok(())
    }

    /// Sends what a file has from where it stands, at most `most` bytes and so many as go well together, behind a `head` that says
    /// how many they are, and has always the same length. Returns how many that was; 0 at the end, of which nothing is sent.
    pub fn send_from(
        &self,
        file: &File,
        most: u64,
        head: impl Fn(u64) -> Vec<u8>,
    ) -> Result<usize> {
        let head_bytes = head(0).len();
        let mut state = self.wait(|state| state.credit > head_bytes)?;
        let taken =
            most.min((state.credit - head_bytes) as u64)
                .min((FRAMES_BYTES - 5 * HEADER_BYTES - head_bytes) as u64) as usize;
        state.credit -= head_bytes + taken;
        drop(state);
        let mut frames = Vec::with_capacity(FRAMES_BYTES);
        if head_bytes > 0 {
            encode_frame(&mut frames, self.stream, FrameKind::Data, &head(0))
                .map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()))?;
        }
        let body = frames.len();
        let read = read_frames(&mut frames, self.stream, FrameKind::Data, file, taken);
        let count = *read.as_ref().unwrap_or(&0);
        if count < taken {
            let unused = taken - count + if count == 0 { head_bytes } else { 0 };
            locked(&self.shared.state).credit += unused;
        }
        if count > 0 {
            if head_bytes > 0 {
                frames[HEADER_BYTES..body].copy_from_slice(&head(count as u64));
            }
            self.outbox
                .post(self.stream, Post::Frames(frames, head_bytes + count));
        }
        read
    }

    /// The next piece of what the supervisor sends; None at its end. The one before it is done with then.
    pub fn receive(&mut self) -> Result<Option<Vec<u8>>> {
        let mut piece = locked(&self.shared.state).arrived.pop_front();
        // Told in portions, unless there is nothing else to do.
        if self.taken > 0 && (piece.is_none() || self.taken >= TOLD_BYTES) {
            let taken = std::mem::take(&mut self.taken);
            self.outbox.post(self.stream, Post::Consumed(taken));
        }
        if piece.is_none() {
            let mut state = self.wait(|state| state.ended || !state.arrived.is_empty())?;
            piece = state.arrived.pop_front();
        } else {
            self.check()?;
        }
        self.taken += piece.as_ref().map_or(0, Vec::len);
        Ok(piece)
    }

    /// Waits until the supervisor wants an item.
    pub fn wanted(&self) -> Result<()> {
        self.wait(|state| state.wanted > 0)?.wanted -= 1;
        Ok(())
    }

    /// The same, but not longer than so. Returns whether it does.
    pub fn wanted_within(&self, limit: Duration) -> Result<bool> {
        let deadline = Instant::now() + limit;
        let mut state = locked(&self.shared.state);
        loop {
            still_wanted(&state)?;
            if state.wanted > 0 {
                state.wanted -= 1;
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            state.waits = true;
            state = match self.shared.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
            state.waits = false;
        }
    }

    /// Has this woken, too, when it is not to go on.
    pub fn wake_by(&self, wake: &Arc<Wake>) {
        locked(&self.shared.state).wake = Some(Arc::clone(wake));
    }

    fn wait(&self, until: impl Fn(&State) -> bool) -> Result<MutexGuard<'_, State>> {
        let mut state = locked(&self.shared.state);
        loop {
            still_wanted(&state)?;
            if until(&state) {
                return Ok(state);
            }
            state.waits = true;
            state = self
                .shared
                .changed
                .wait(state)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            state.waits = false;
        }
    }
}

fn still_wanted(state: &State) -> Result<()> {
    match state.stopped || state.aborted.is_some() {
        true => Err(Error::from_raw_os_error(ECANCELED)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
