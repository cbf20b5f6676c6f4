//! What the agent does with each frame of the supervisor's.

use super::deferred::Kept;
use super::{Agent, Stop, SOCKET, STILL};
use crate::commands::session::{token, Channel, Session};
use crate::commands::spawn;
use crate::failure::{While, GUEST, PROTOCOL};
use crate::generated::messages::{
    self as messages, BecomeCopy, Boot, BootFailed, Exec, ExecFailed, ExecStarted, GoOn, Message,
    Mount, PatchKind, Ping, Pong, Resize, Seed, Signal, SpawnStage, PROTOCOL_VERSION,
};
use crate::protocol::stream::{Event, Fault};
use crate::sys::{self, ESHUTDOWN, SIGKILL};
use crate::{guest, inside, root, stats};
use std::fs::File;
use std::io;
use std::os::unix::io::AsRawFd;
use std::time::{Duration, Instant};

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault.to_string())
    }
}

impl Agent {
    /// Takes all complete frames that have arrived.
    pub(super) fn take_frames(&mut self) -> Result<(), Stop> {
        while let Some(frame) = self.port.decoder.next()? {
            let frozen = self.files.holds_disk();
            match self.deferred.keep(self.streams.receive(&frame)?, frozen) {
                Event::Connection(message) => self.introduce(message)?,
                Event::Opened(stream, message) => self.serve(stream, message)?,
                Event::Message(stream, message) => self.command(stream, &message),
                // The kind was checked: a command has one kind of input, and so has a file.
                Event::Data(stream, _, payload) => {
                    if let Some(session) = self.sessions.get_mut(&stream) {
                        session.stdin.receive(payload);
                        self.flush_stdin(stream);
                    } else {
                        self.files.data(stream, payload);
                    }
                }
                Event::Ended(stream) => {
                    if let Some(session) = self.sessions.get_mut(&stream) {
                        session.stdin.end();
                        self.flush_stdin(stream);
                    } else {
                        self.files.end(stream);
                    }
                }
                Event::Writable(stream, bytes) => {
                    if let Some(session) = self.sessions.get_mut(&stream) {
                        session.wake_starved(&mut self.turns);
                    } else {
                        self.files.grant(stream, bytes);
                    }
                }
                Event::Aborted(stream, failure) => {
                    self.inside.abort(stream);
                    if self.files.abort(stream, &failure) {
                        continue;
                    }
                    // Its descriptors are closed with it. Its processes are reaped as those that nobody knows.
                    if let Some(mut session) = self.sessions.remove(&stream) {
                        session.signal(SIGKILL as u8);
                    }
                    self.streams
                        .send(&mut self.port, stream, &Message::Failure(failure));
                }
                Event::Nothing => {}
            }
        }
        Ok(())
    }

    /// Starts the commands that had to wait for the upper disk, once it is thawed.
    pub(super) fn take_deferred(&mut self) -> Result<(), Stop> {
        if self.files.holds_disk() {
            return Ok(());
        }
        for (stream, kept) in self.deferred.take() {
            match kept {
                Kept::Exec(exec) => self.exec(stream, &exec)?,
                Kept::Message(message) => self.command(stream, &message),
                Kept::Data(bytes) => {
                    if let Some(session) = self.sessions.get_mut(&stream) {
                        session.stdin.receive(&bytes);
                        self.flush_stdin(stream);
                    }
                }
                Kept::Ended => {
                    if let Some(session) = self.sessions.get_mut(&stream) {
                        session.stdin.end();
                        self.flush_stdin(stream);
                    }
                }
            }
        }
        Ok(())
    }

    /// What makes the guest a sandbox. All of it comes on stream 0 and is answered there.
    fn introduce(&mut self, message: Message) -> Result<(), Stop> {
        match message {
            Message::Seed(seed) => self.seed(&seed),
            Message::Clock(clock) => {
                if let Err(failed) = guest::set_clock(&clock) {
                    self.boot_failed(failed);
                }
            }
            Message::Mount(mount) => self.mount(&mount)?,
            Message::Boot(boot) => self.boot(&boot)?,
            // One that has no new random numbers must not go on: the supervisor knows, and ends it.
            Message::GoOn(_) | Message::BecomeCopy(_) if self.boot_failed => {}
            Message::GoOn(GoOn { elsewhere }) => self.go_on(elsewhere),
            Message::BecomeCopy(copy) => self.become_copy(&copy)?,
            _ => return Err(fault("unexpected message")),
        }
        Ok(())
    }

    /// Begins what a stream was opened for.
    fn serve(&mut self, stream: u32, message: Message) -> Result<(), Stop> {
        let answer = match message {
            Message::Ping(Ping { nonce }) => Message::Pong(Pong { nonce }),
            Message::StatsRequest => Message::Stats(stats::measure()),
            Message::Exec(exec) => return self.exec(stream, &exec),
            Message::HoldStill => return self.hold_still(stream),
            Message::ListenInside => {
                self.inside.listen(stream);
                return Ok(());
            }
            Message::TellInside(event) => self.inside.tell(&event, &self.epoll),
            Message::FreezeDisk(messages::FreezeDisk { limit_ms }) => {
                self.freeze_disk(stream, Duration::from_millis(limit_ms.into()));
                return Ok(());
            }
            Message::Shutdown(messages::Shutdown { grace_ms, signal }) => {
                let grace = Duration::from_millis(grace_ms.into());
                self.begin_shutdown(Some(stream), grace, signal.into());
                return Ok(());
            }
            // Whatever else a stream can be opened for is about files.
            request => {
                self.serve_files(stream, request);
                return Ok(());
            }
        };
        self.streams.send(&mut self.port, stream, &answer);
        Ok(())
    }

    fn serve_files(&mut self, stream: u32, request: Message) {
        if self.shutdown.is_some() {
            self.files
                .refuse(stream, ESHUTDOWN, "the sandbox is shutting down");
        } else if self.root.is_none() {
            self.files.refuse(stream, 0, "the sandbox has no root yet");
        } else if self.booted && matches!(request, Message::PatchApply(_)) {
            self.files.refuse(stream, 0, "the sandbox has booted");
        } else if let Err(error) = self.prepare_for(&request) {
            self.files
                .refuse(stream, sys::errno_of(&error), &sys::words_of(&error));
        } else {
            self.files.open(stream, request);
        }
    }

    fn freeze_disk(&mut self, stream: u32, limit: Duration) {
        let upper = self.root.as_ref().and_then(|root| root.upper.as_ref());
        // No path leads to it, a descriptor does.
        let place = upper.map(|upper| File::open(format!("/proc/self/fd/{}", upper.as_raw_fd())));
        match place {
            _ if self.shutdown.is_some() => {
                self.files
                    .refuse(stream, ESHUTDOWN, "the sandbox is shutting down")
            }
            None => self
                .files
                .refuse(stream, 0, "the sandbox has no disk of its own"),
            Some(Err(error)) => {
                self.files
                    .refuse(stream, sys::errno_of(&error), &sys::words_of(&error))
            }
            Some(Ok(place)) => self.files.hold_disk(stream, place, limit),
        }
    }

    /// Patches change all of the root. Scripts are no part of it.
    fn prepare_for(&mut self, request: &Message) -> io::Result<()> {
        if let (Message::PatchApply(patch), None) = (request, &self.bare) {
            if patch.kind != PatchKind::Script {
                self.bare = Some(guest::lay_bare(self.tmp_size_mib)?);
            }
        }
        Ok(())
    }

    fn command(&mut self, stream: u32, message: &Message) {
        if let Some(session) = self.sessions.get_mut(&stream) {
            match message {
                Message::Signal(Signal { signal }) => session.signal(*signal),
                Message::Resize(Resize { rows, cols }) => session.resize(*rows, *cols),
                _ => {}
            }
        } else if matches!(message, Message::Next | Message::ReleaseDisk) {
            self.files.want(stream);
        }
    }

    fn flush_stdin(&mut self, stream: u32) {
        if let Some(session) = self.sessions.get_mut(&stream) {
            let token = token(stream, Channel::Stdin);
            session.stdin.flush(
                (stream, token),
                &mut self.streams,
                &mut self.port,
                &self.epoll,
            );
        }
    }

    fn seed(&mut self, seed: &Seed) {
        let result = match seed.protocol_version {
            PROTOCOL_VERSION => guest::seed(&self.random, seed),
            other => Err(BootFailed {
                step: String::from(PROTOCOL),
                errno: 0,
                message: format!(
                    "the agent speaks protocol version {PROTOCOL_VERSION}, the supervisor {other}"
                ),
            }),
        };
        self.seeded = result.is_ok();
        self.streams.meet_supervisor();
        if let Err(failed) = result {
            self.boot_failed(failed);
        }
    }

    fn mount(&mut self, mount: &Mount) -> Result<(), Stop> {
        if self.boot_failed {
            return Ok(());
        }
        if self.root.is_some() {
            return Err(fault("a second Mount"));
        }
        match self.enter_root(mount) {
            Ok(()) => self.port.send(0, &Message::Mounted),
            Err(failed) => self.boot_failed(failed),
        }
        Ok(())
    }

    fn enter_root(&mut self, mount: &Mount) -> Result<(), BootFailed> {
        let root = self.root.insert(root::enter(&mount.root, &self.modules)?);
        self.installed = guest::set_up(mount, root.owner)?;
        self.tmp_size_mib = mount.tmp_size_mib;
        self.network = mount.network.clone();
        self.null = Some(sys::open_null().during(GUEST, "/dev/null")?);
        self.inside
            .open(&self.epoll, SOCKET)
            .during(GUEST, inside::SOCKET)?;
        // It may be saved here: every copy has to be seeded again.
        self.seeded = false;
        Ok(())
    }

    fn boot(&mut self, boot: &Boot) -> Result<(), Stop> {
        if self.boot_failed {
            return Ok(());
        }
        let root = match &self.root {
            Some(root) if self.null.is_some() && self.seeded && !self.booted => root,
            _ => return Err(fault("Boot out of its order")),
        };
        match guest::become_sandbox(
            boot,
            root.owner,
            &self.modules,
            self.relay.as_ref(),
            self.bare.as_ref(),
            self.network.as_ref(),
            self.installed.take(),
        ) {
            Ok(environment) => {
                self.booted = true;
                self.environment = environment;
                self.port.send(0, &Message::Ready);
                self.events = self.streams.open(&mut self.port, &Message::Events);
            }
            Err(failed) => self.boot_failed(failed),
        }
        Ok(())
    }

    /// Has everything stand still, and says nothing more until the supervisor does: what is on its way through the port belongs to neither
    /// this guest nor a copy of it.
    fn hold_still(&mut self, stream: u32) -> Result<(), Stop> {
        let answer = match guest::freeze::freeze() {
            Ok(frozen) => {
                self.frozen = Some(frozen);
                Message::StandsStill
            }
            Err(error) => Message::Failure(messages::Failure {
                code: String::from("runtime"),
                message: format!("the processes of the guest cannot be held: {error}"),
                hint: String::from(
                    "Those that wait for a device, or for a file system that a program of the guest serves, cannot be, nor can any without \
                     /sys/fs/cgroup. Try again in a moment.",
                ),
                details: String::from("{}"),
            }),
        };
        self.streams.send(&mut self.port, stream, &answer);
        if self.frozen.is_some() {
            self.port.flush_until(Instant::now() + STILL)?;
            if !self.port.wait_for_word(STILL)? {
                self.frozen = None;
            }
        }
        Ok(())
    }

    fn go_on(&mut self, elsewhere: bool) {
        if elsewhere && self.frozen.is_some() {
            if let Err(error) = guest::connections::reset_outward() {
                eprintln!("agent: connections to the outside are left as they are: {error}");
            }
        }
        self.frozen = None;
    }

    fn become_copy(&mut self, copy: &BecomeCopy) -> Result<(), Stop> {
        let root = match &self.root {
            Some(root) if self.booted && self.frozen.is_some() => root,
            _ => return Err(fault("BecomeCopy out of its order")),
        };
        match guest::become_copy(copy, self.network.as_ref(), root.owner) {
            Ok(()) => {
                if copy.goes_on {
                    self.frozen = None;
                }
                self.port.send(0, &Message::Ready);
            }
            Err(failed) => self.boot_failed(failed),
        }
        Ok(())
    }

    fn boot_failed(&mut self, failed: BootFailed) {
        eprintln!("agent: {}: {}", failed.step, failed.message);
        self.boot_failed = true;
        self.port.send(0, &Message::BootFailed(failed));
    }

    fn exec(&mut self, stream: u32, exec: &Exec) -> Result<(), Stop> {
        let refuse = |errno, message: &str| {
            Err(ExecFailed {
                stage: SpawnStage::Request,
                errno,
                message: String::from(message),
            })
        };
        // Even a command that cannot be started leaves a process to be reaped.
        self.processes = true;
        let spawned = match &self.null {
            _ if self.shutdown.is_some() => refuse(ESHUTDOWN, "the sandbox is shutting down"),
            Some(null) if self.booted => spawn::spawn(exec, &self.environment, null),
            _ => refuse(0, "the sandbox has not booted"),
        };
        match spawned {
            Ok(spawned) => {
                let pid = spawned.pid as u32;
                let started = ExecStarted { pid, session_id: 0 };
                self.streams
                    .send(&mut self.port, stream, &Message::ExecStarted(started));
                let session = Session::new(stream, spawned, &self.epoll)?;
                self.sessions.insert(stream, session);
            }
            Err(failed) => self
                .streams
                .send(&mut self.port, stream, &Message::ExecFailed(failed)),
        }
        Ok(())
    }
}

fn fault(what: &str) -> Stop {
    Stop::Fault(format!("protocol fault: {what}"))
}
