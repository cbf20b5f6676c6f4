//! The guest's files, for the supervisor: every stream has a worker, which does what was asked for with plain calls that may
//! wait, in a thread of its own. The event loop never touches a file itself: it moves messages and data between the streams
//! and the workers' links. Read `work.rs` for what there is, and `link.rs` for how it talks.

pub mod attributes;
pub mod failed;
mod freeze;
pub mod link;
mod read;
pub mod remove;
pub mod replace;
pub mod target;
pub mod tree;
pub mod walk;
mod watch;
mod work;
mod workers;

use crate::generated::messages::{Failure, FileFailed, Message};
use crate::protocol::frame::FrameKind;
use crate::protocol::port::Port;
use crate::protocol::stream::Streams;
use crate::sys::{self, Epoll, READABLE};
use link::{Link, Outbox, Post, Shared};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Result;
use std::sync::Arc;
use std::time::Duration;
use workers::Workers;

/// How long workers may take to let go at the end; one that waits for a device may take for ever.
const LET_GO: Duration = Duration::from_secs(1);

pub struct Files {
    outbox: Arc<Outbox>,
    links: BTreeMap<u32, Arc<Shared>>,
    /// Those that hold the upper disk.
    holds: Vec<u32>,
    workers: Workers,
}

impl Files {
    pub fn new() -> Result<Files> {
        Ok(Files {
            outbox: Arc::new(Outbox::new()?),
            links: BTreeMap::new(),
            holds: Vec::new(),
            workers: Workers::default(),
        })
    }

    pub fn register(&self, epoll: &Epoll, token: u64) -> Result<()> {
        epoll.add(self.outbox.wake.fd(), READABLE, token)
    }

    /// Begins what a stream was opened for.
    pub fn open(&mut self, stream: u32, request: Message) {
        self.start(stream, move |link| work::perform(request, link));
    }

    /// Freezes the file system that `place` is on for as long as the stream is open, but not longer than the limit.
    pub fn hold_disk(&mut self, stream: u32, place: File, limit: Duration) {
        self.holds.push(stream);
        self.start(stream, move |link| {
            freeze::hold(&place, limit, link).map(|()| Message::FileDone)
        });
    }

    /// Whether it is frozen, or about to be.
    pub fn holds_disk(&self) -> bool {
        !self.holds.is_empty()
    }

    /// Has it thawed: whoever has to come to an end may have to write before.
    pub fn release_disk(&self) {
        for link in self.holds.iter().filter_map(|stream| self.link(*stream)) {
            link.abort(shutting_down());
        }
    }

    fn start(
        &mut self,
        stream: u32,
        work: impl FnOnce(&mut Link) -> failed::Outcome<Message> + Send + 'static,
    ) {
        let shared = Arc::new(Shared::new());
        let outbox = Arc::clone(&self.outbox);
        let mut link = Link::new(stream, Arc::clone(&shared), outbox);
        self.links.insert(stream, shared);
        let started = self.workers.start(move || {
            let last = match work(&mut link) {
                Ok(last) => last,
                Err(failed) => failed.into_message(),
            };
            link.finish(last);
        });
        if let Err(error) = started {
            self.refuse(stream, sys::errno_of(&error), &sys::words_of(&error));
        }
    }

    /// Answers without doing anything.
    pub fn refuse(&mut self, stream: u32, errno: i32, message: &str) {
        let failed = FileFailed {
            path: Vec::new(),
            operation: String::from("begin"),
            errno,
            message: String::from(message),
        };
        self.outbox
            .post(stream, Post::Last(Message::FileFailed(failed)));
    }

    /// The link of a stream that is about files.
    fn link(&self, stream: u32) -> Option<&Shared> {
        self.links.get(&stream).map(Arc::as_ref)
    }

    pub fn data(&self, stream: u32, bytes: &[u8]) {
        if let Some(link) = self.link(stream) {
            link.data(bytes);
        }
    }

    pub fn end(&self, stream: u32) {
        if let Some(link) = self.link(stream) {
            link.end();
        }
    }

    pub fn want(&self, stream: u32) {
        if let Some(link) = self.link(stream) {
            link.want();
        }
    }

    pub fn grant(&self, stream: u32, bytes: usize) {
        if let Some(link) = self.link(stream) {
            link.grant(bytes);
        }
    }

    /// Has the worker let go, and returns whether there is one: it has the last word then, when it has.
    pub fn abort(&self, stream: u32, failure: &Failure) -> bool {
        match self.link(stream) {
            Some(link) => link.abort(failure.clone()),
            None => return false,
        }
        true
    }

    /// Whether something is being done, or waits to be sent.
    pub fn busy(&self) -> bool {
        !self.links.is_empty()
    }

    /// Whether something waits to be sent.
    pub fn waiting(&self) -> bool {
        !self.outbox.is_empty()
    }

    pub fn clear_wake(&self) {
        self.outbox.wake.clear();
    }

    /// Sends what the workers have left, while there is room.
    pub fn pump(&mut self, streams: &mut Streams, port: &mut Port) {
        while port.has_room() {
            let (stream, post) = match self.outbox.take() {
                Some(post) => post,
                None => return,
            };
            match post {
                Post::Message(message) => streams.send(port, stream, &message),
                Post::Data(bytes) => streams.send_data(port, stream, FrameKind::Data, &bytes),
                Post::Frames(frames, bytes) => streams.send_frames(port, stream, frames, bytes),
                Post::Consumed(bytes) => streams.consume(port, stream, bytes),
                Post::Last(message) => {
                    let link = self.links.remove(&stream);
                    self.holds.retain(|hold| *hold != stream);
                    let last = match link.and_then(|link| link.aborted()) {
                        Some(failure) => Message::Failure(failure),
                        None => message,
                    };
                    streams.send(port, stream, &last);
                }
            }
        }
    }

    /// Has all workers let go, so that file systems can be left. What was being written is as it was before.
    pub fn stop(&self) {
        for link in self.links.values() {
            link.abort(shutting_down());
        }
        if !self.workers.rest(LET_GO) {
            eprintln!("agent: some file operations do not end");
        }
    }
}

fn shutting_down() -> Failure {
    Failure {
        code: String::from("sandboxNotRunning"),
        message: String::from("the sandbox is shutting down"),
        hint: String::new(),
        details: String::from("{}"),
    }
}
