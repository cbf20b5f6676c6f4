//! The event loop: the supervisor's messages, the commands' descriptors, and the signals of PID 1, one after another.

use crate::failure::{While, GUEST, PROTOCOL};
use crate::frame::FrameKind;
use crate::messages_generated::{
    self as messages, AgentHello, Boot, BootFailed, Credit, Exec, ExecFailed, ExecStarted, Message,
    Ping, Pong, Resize, Signal, SpawnStage, PROTOCOL_VERSION,
};
use crate::modules::{self, Modules};
use crate::port::{Port, Received};
use crate::root::{self, Root};
use crate::session::{from_token, token, Channel, Outcome, Session, Turn};
use crate::shutdown::{release_disks, Remaining, Shutdown, INSIDE_GRACE};
use crate::sys::{self, Epoll, Reaped, ESHUTDOWN, SIGCHLD, SIGTERM, SIGUSR1, SIGUSR2};
use crate::wire::WireError;
use crate::{guest, spawn, stats};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::unix::io::OwnedFd;
use std::time::{Duration, Instant};

/// Tokens above those of any stream.
const PORT: u64 = u64::MAX;
const SIGNALS: u64 = u64::MAX - 1;
/// Reads from the port before anyone else gets a turn; 64 KiB with the driver's buffers.
const READS_PER_TURN: usize = 16;
/// How long an output that writes in crumbs is left alone to collect some; too short for anyone to see.
const BREATHER: Duration = Duration::from_millis(2);
/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why the guest has to end.
pub enum Stop {
    /// An orderly shutdown has come to its last step.
    ShutDown,
    /// The supervisor is gone, and with it everyone who could want anything of this guest.
    HostGone,
    /// The supervisor broke the protocol, or the kernel refused what must work.
    Fault(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Fault(error.to_string())
    }
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Stop {
        Stop::Fault(format!("bad frame from the supervisor: {error}"))
    }
}

pub struct Agent {
    epoll: Epoll,
    port: Port,
    signals: OwnedFd,
    /// The sandbox's /dev/null, once it has one.
    null: Option<OwnedFd>,
    modules: Modules,
    /// A Boot has arrived; there is only one in a guest's life.
    boot_seen: bool,
    root: Option<Root>,
    sessions: BTreeMap<u32, Session>,
    /// Outputs that may have something to read, in the order in which they get their turns.
    turns: VecDeque<(u32, Channel)>,
    /// Outputs that write in crumbs, and when they get their next turn.
    later: Vec<(u32, Channel)>,
    later_at: Option<Instant>,
    /// Scratch space for output.
    buffer: Vec<u8>,
    processes: bool,
    shutdown: Option<Shutdown>,
}

impl Agent {
    pub fn new(port: Port, modules: Modules) -> io::Result<Agent> {
        let signals = sys::signals(&[SIGCHLD, SIGTERM, SIGUSR1, SIGUSR2])?;
        let epoll = Epoll::new()?;
        port.register(&epoll, PORT)?;
        epoll.add(&signals, sys::READABLE, SIGNALS)?;
        Ok(Agent {
            epoll,
            port,
            signals,
            null: None,
            modules,
            boot_seen: false,
            root: None,
            sessions: BTreeMap::new(),
            turns: VecDeque::new(),
            later: Vec::new(),
            later_at: None,
            buffer: Vec::new(),
            processes: false,
            shutdown: None,
        })
    }

    /// Greets the supervisor and serves it until the guest has to end; then leaves the disks clean.
    pub fn run(mut self, hello: AgentHello) -> Stop {
        self.port.send(0, &Message::AgentHello(hello));
        let mut events = Vec::new();
        let stop = loop {
            if let Err(stop) = self.turn(&mut events) {
                break stop;
            }
        };
        release_disks(&mut self.root);
        if let (Stop::ShutDown, Some(shutdown)) = (&stop, &self.shutdown) {
            self.port.send(shutdown.stream, &Message::ShuttingDown);
            if let Err(error) = self.port.flush_until(Instant::now() + FAREWELL) {
                eprintln!("agent: the supervisor does not listen: {error}");
            }
        }
        stop
    }

    /// One round of the loop.
    fn turn(&mut self, events: &mut Vec<u64>) -> Result<(), Stop> {
        self.pump_outputs()?;
        self.port.flush(&self.epoll, PORT)?;
        let timeout = self.timeout()?;
        self.epoll.wait(events, timeout)?;
        for token in events.iter() {
            match *token {
                PORT => self.receive()?,
                SIGNALS => self.take_signals()?,
                token => self.session_event(token)?,
            }
        }
        Ok(())
    }

    /// Milliseconds that the next wait may take, -1 for any time.
    fn timeout(&mut self) -> Result<i32, Stop> {
        if !self.turns.is_empty() && self.port.has_room() {
            return Ok(0);
        }
        let later = self
            .later_at
            .map(|at| at.saturating_duration_since(Instant::now()));
        let wait = match (later, self.shutdown_wait()?) {
            (Some(a), Some(b)) => a.min(b),
            (Some(wait), None) | (None, Some(wait)) => wait,
            (None, None) => return Ok(-1),
        };
        // Rounded up, so that a wait does not end just before its time.
        Ok((wait.as_micros().min(60_000_000) as i32 + 999) / 1000)
    }

    /// Takes the shutdown, if there is one, as far as it goes now.
    fn shutdown_wait(&mut self) -> Result<Option<Duration>, Stop> {
        let remaining = Remaining {
            processes: self.processes,
            commands: !self.sessions.is_empty() || !self.port.is_flushed(),
        };
        match &mut self.shutdown {
            None => Ok(None),
            Some(shutdown) => match shutdown.step(&remaining, || release_disks(&mut self.root)) {
                None => Err(Stop::ShutDown),
                wait => Ok(wait),
            },
        }
    }

    fn pump_outputs(&mut self) -> Result<(), Stop> {
        if self.later_at.map_or(false, |at| Instant::now() >= at) {
            self.later_at = None;
            self.turns.extend(self.later.drain(..));
        }
        while self.port.has_room() {
            let (stream, channel) = match self.turns.pop_front() {
                Some(turn) => turn,
                None => break,
            };
            let session = match self.sessions.get_mut(&stream) {
                Some(session) => session,
                None => continue,
            };
            match session.pump(channel, &mut self.port, &self.epoll, &mut self.buffer)? {
                Turn::Again => self.turns.push_back((stream, channel)),
                Turn::Rest => {}
                Turn::Later => {
                    self.later.push((stream, channel));
                    self.later_at
                        .get_or_insert_with(|| Instant::now() + BREATHER);
                }
            }
            let outcome = session.outcome();
            self.conclude(stream, outcome);
        }
        Ok(())
    }

    fn conclude(&mut self, stream: u32, outcome: Outcome) {
        if let Outcome::Over(message) = outcome {
            self.sessions.remove(&stream);
            self.port.send(stream, &message);
        }
    }

    fn session_event(&mut self, event: u64) -> Result<(), Stop> {
        let (stream, channel) = from_token(event);
        let session = match self.sessions.get_mut(&stream) {
            Some(session) => session,
            None => return Ok(()),
        };
        match channel {
            Channel::Stdin => session
                .stdin
                .flush(stream, event, &mut self.port, &self.epoll),
            Channel::Stdout | Channel::Stderr => self.turns.push_back((stream, channel)),
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<(), Stop> {
        for _ in 0..READS_PER_TURN {
            let received = self.port.receive()?;
            if received == Received::Closed {
                if self.port.decoder.partial() {
                    eprintln!("agent: the supervisor's last frame is incomplete");
                }
                return Err(Stop::HostGone);
            }
            self.take_frames()?;
            if received != Received::Full {
                break;
            }
        }
        Ok(())
    }

    fn take_frames(&mut self) -> Result<(), Stop> {
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
            Message::Boot(boot) => self.boot(stream, &boot)?,
            Message::Exec(exec) => self.exec(stream, &exec)?,
            Message::Shutdown(messages::Shutdown { grace_ms }) => {
                self.begin_shutdown(stream, Duration::from_millis(grace_ms.into()))
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

    fn boot(&mut self, stream: u32, boot: &Boot) -> Result<(), Stop> {
        if std::mem::replace(&mut self.boot_seen, true) {
            return Err(fault(stream, "a second Boot"));
        }
        match self.become_sandbox(boot) {
            Ok(()) => self.port.send(stream, &Message::Ready),
            Err(failed) => {
                eprintln!("agent: {}: {}", failed.step, failed.message);
                self.port.send(stream, &Message::BootFailed(failed));
            }
        }
        Ok(())
    }

    fn become_sandbox(&mut self, boot: &Boot) -> Result<(), BootFailed> {
        if boot.protocol_version != PROTOCOL_VERSION {
            return Err(BootFailed {
                step: String::from(PROTOCOL),
                errno: 0,
                message: format!(
                    "the agent speaks protocol version {PROTOCOL_VERSION}, the supervisor {}",
                    boot.protocol_version
                ),
            });
        }
        guest::seed(boot)?;
        self.modules.load(modules::DISK);
        self.root = Some(root::enter(&boot.root)?);
        guest::set_up(boot)?;
        self.null = Some(sys::open_null().during(GUEST, "/dev/null")?);
        Ok(())
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
            None => refuse(0, "the sandbox has not booted"),
            Some(null) => spawn::spawn(exec, null),
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

    fn take_signals(&mut self) -> Result<(), Stop> {
        while let Some(signal) = sys::next_signal(&self.signals) {
            match signal {
                SIGCHLD => self.reap(),
                // What busybox's halt, poweroff and reboot send to PID 1.
                _ => self.begin_shutdown(0, INSIDE_GRACE),
            }
        }
        Ok(())
    }

    /// Takes leave of every process that has ended, the commands' own and those that were left to PID 1.
    fn reap(&mut self) {
        loop {
            let (pid, ending) = match sys::reap() {
                Reaped::Process(pid, ending) => (pid, ending),
                Reaped::NoneEnded => break,
                Reaped::NoChildren => {
                    self.processes = false;
                    break;
                }
            };
            let found = self
                .sessions
                .iter_mut()
                .find(|(_, session)| session.is_leader(pid));
            if let Some((&stream, session)) = found {
                if let Some(channel) = session.leader_ended(ending) {
                    self.turns.push_back((stream, channel));
                }
                let outcome = session.outcome();
                self.conclude(stream, outcome);
            }
        }
    }

    fn begin_shutdown(&mut self, stream: u32, grace: Duration) {
        match &mut self.shutdown {
            Some(shutdown) => shutdown.hurry(stream, grace),
            None => {
                self.shutdown = Some(Shutdown::begin(stream, grace));
                self.reap();
            }
        }
    }
}

fn fault(stream: u32, what: &str) -> Stop {
    Stop::Fault(format!("protocol fault on stream {stream}: {what}"))
}
