//! What the agent does with each frame of the supervisor's.

use super::{Agent, Stop};
use crate::failure::{While, GUEST, PROTOCOL};
use crate::frame::FrameKind;
use crate::messages_generated::{
    self as messages, Boot, BootFailed, Credit, Exec, ExecFailed, ExecStarted, Message, Mount,
    Ping, Pong, Resize, Seed, Signal, SpawnStage, PROTOCOL_VERSION,
};
use crate::session::{token, Channel, Session};
use crate::sys::{self, ESHUTDOWN};
use crate::{guest, root, spawn, stats};
use std::time::Duration;

impl Agent {
    /// Takes all complete frames that have arrived.
    pub(super) fn take_frames(&mut self) -> Result<(), Stop> {
        while let Some(frame) = self.port.decoder.next()? {
            let stream = frame.stream;
            match frame.kind {
                FrameKind::Control => {
                    let message = Message::decode(frame.payload)?;
                    self.take_message(stream, message)?;
                }
                FrameKind::Stdin => {
                    let session = match self.sessions.get_mut(&stream) {
                        Some(session) => session,
                        None => continue,
                    };
                    if !session.stdin.receive(frame.payload) {
                        return Err(fault(stream, "more stdin than there was credit for"));
                    }
                    self.flush_stdin(stream);
                }
                FrameKind::Stdout | FrameKind::Stderr => {
                    return Err(fault(stream, "output sent to the guest"));
                }
            }
        }
        Ok(())
    }

    fn take_message(&mut self, stream: u32, message: Message) -> Result<(), Stop> {
        match message {
            Message::Ping(Ping { nonce }) => self.port.send(stream, &Message::Pong(Pong { nonce })),
            Message::StatsRequest => self.port.send(stream, &Message::Stats(stats::measure())),
            Message::Seed(seed) => self.seed(stream, &seed),
            Message::Clock(clock) => {
                if let Err(failed) = guest::set_clock(&clock) {
                    self.boot_failed(stream, failed);
                }
            }
            Message::Mount(mount) => self.mount(stream, &mount)?,
            Message::Boot(boot) => self.boot(stream, &boot)?,
            Message::Exec(exec) => self.exec(stream, &exec)?,
            Message::Shutdown(messages::Shutdown { grace_ms, signal }) => {
                let grace = Duration::from_millis(grace_ms.into());
                self.begin_shutdown(stream, grace, signal.into())
            }
            // The rest is about a command. One that has just ended is no error: the message met its end on the way.
            message => {
                let session = match self.sessions.get_mut(&stream) {
                    Some(session) => session,
                    None => return Ok(()),
                };
                match message {
                    Message::StdinEnd => {
                        session.stdin.end();
                        self.flush_stdin(stream);
                    }
                    Message::Signal(Signal { signal }) => session.signal(signal),
                    Message::Resize(Resize { rows, cols }) => session.resize(rows, cols),
                    Message::Credit(Credit { bytes }) => {
                        if !session.grant(bytes) {
                            return Err(fault(stream, "credit out of range"));
                        }
                        session.wake_starved(&mut self.turns);
                    }
                    _ => return Err(fault(stream, "unexpected message")),
                }
            }
        }
        Ok(())
    }

    fn flush_stdin(&mut self, stream: u32) {
        if let Some(session) = self.sessions.get_mut(&stream) {
            let token = token(stream, Channel::Stdin);
            session
                .stdin
                .flush(stream, token, &mut self.port, &self.epoll);
        }
    }

    fn seed(&mut self, stream: u32, seed: &Seed) {
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
        if let Err(failed) = result {
            self.boot_failed(stream, failed);
        }
    }

    fn mount(&mut self, stream: u32, mount: &Mount) -> Result<(), Stop> {
        if self.boot_failed {
            return Ok(());
        }
        if self.root.is_some() {
            return Err(fault(stream, "a second Mount"));
        }
        match self.enter_root(mount) {
            Ok(()) => self.port.send(stream, &Message::Mounted),
            Err(failed) => self.boot_failed(stream, failed),
        }
        Ok(())
    }

    fn enter_root(&mut self, mount: &Mount) -> Result<(), BootFailed> {
        let root = self.root.insert(root::enter(&mount.root, &self.modules)?);
        guest::set_up(mount, root.owner)?;
        self.null = Some(sys::open_null().during(GUEST, "/dev/null")?);
        // It may be saved here: every copy has to be seeded again.
        self.seeded = false;
        Ok(())
    }

    fn boot(&mut self, stream: u32, boot: &Boot) -> Result<(), Stop> {
        if self.boot_failed {
            return Ok(());
        }
        let root = match &self.root {
            Some(root) if self.null.is_some() && self.seeded && !self.booted => root,
            _ => return Err(fault(stream, "Boot out of its order")),
        };
        match guest::become_sandbox(boot, root.owner) {
            Ok(()) => {
                self.booted = true;
                self.port.send(stream, &Message::Ready);
            }
            Err(failed) => self.boot_failed(stream, failed),
        }
        Ok(())
    }

    fn boot_failed(&mut self, stream: u32, failed: BootFailed) {
        eprintln!("agent: {}: {}", failed.step, failed.message);
        self.boot_failed = true;
        self.port.send(stream, &Message::BootFailed(failed));
    }

    fn exec(&mut self, stream: u32, exec: &Exec) -> Result<(), Stop> {
        if stream == 0 || self.sessions.contains_key(&stream) {
            return Err(fault(stream, "Exec on a stream in use"));
        }
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
            Some(null) if self.booted => spawn::spawn(exec, null),
            _ => refuse(0, "the sandbox has not booted"),
        };
        match spawned {
            Ok(spawned) => {
                let pid = spawned.pid as u32;
                let started = ExecStarted { pid, session_id: 0 };
                self.port.send(stream, &Message::ExecStarted(started));
                let session = Session::new(stream, spawned, &self.epoll)?;
                self.sessions.insert(stream, session);
            }
            Err(failed) => self.port.send(stream, &Message::ExecFailed(failed)),
        }
        Ok(())
    }
}

fn fault(stream: u32, what: &str) -> Stop {
    Stop::Fault(format!("protocol fault on stream {stream}: {what}"))
}
