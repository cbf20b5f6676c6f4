//! The event loop: the supervisor's messages, the commands' descriptors, what the workers of files have done, and the signals of
//! PID 1, one after another.

mod deferred;
mod dispatch;

use crate::commands::session::{from_token, Channel, News, Session, Turn, GRACE};
use crate::files::Files;
use crate::generated::messages::{AgentHello, GuestNetwork, Message, OutOfMemory};
use crate::guest::freeze::Frozen;
use crate::guest::{BareRoot, Installed};
use crate::inside::{self, Inside};
use crate::modules::Modules;
use crate::protocol::port::{Port, Received};
use crate::protocol::stream::Streams;
use crate::protocol::wire::WireError;
use crate::relay::Relay;
use crate::root::Root;
use crate::shutdown::{release_disks, Remaining, Shutdown, INSIDE_GRACE};
use crate::stats;
use crate::sys::{self, Epoll, Reaped, SIGCHLD, SIGTERM, SIGUSR1, SIGUSR2};
use deferred::Deferred;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::io::OwnedFd;
use std::time::{Duration, Instant};

/// Tokens above those of any stream.
const PORT: u64 = u64::MAX;
const SIGNALS: u64 = u64::MAX - 1;
const FILES: u64 = u64::MAX - 2;
const SOCKET: u64 = u64::MAX - 3;
/// Reads from the port before anyone else gets a turn; 256 KiB if it has so much.
const READS_PER_TURN: usize = 4;
/// How long an output that writes in crumbs is left alone to collect some; too short for anyone to see.
const BREATHER: Duration = Duration::from_millis(2);
/// How long the supervisor may keep a guest still for copying it, before that goes on by itself.
pub(in crate::agent) const STILL: Duration = Duration::from_secs(30);
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
    streams: Streams,
    signals: OwnedFd,
    /// Open from the start: to open it takes a restored guest longer than to use it.
    random: File,
    /// The sandbox's /dev/null, once it has one.
    null: Option<OwnedFd>,
    modules: Modules,
    /// To the host's files, from the start for the same reason.
    relay: Option<Relay>,
    /// Randomness of its own has been mixed in.
    seeded: bool,
    root: Option<Root>,
    /// The guest is a sandbox; there is only one in its life.
    booted: bool,
    /// What every command's environment has unless it says otherwise, as `NAME=value`.
    environment: Vec<String>,
    /// Of its /tmp.
    tmp_size_mib: u32,
    /// As it is set up; None while it is not, or there is none.
    network: Option<GuestNetwork>,
    /// Whom the guest believes already.
    installed: Option<Installed>,
    /// Its root is being changed for it, or was, since it was mounted.
    bare: Option<BareRoot>,
    /// It cannot become one, which was answered. The rest of what was asked for in the same breath is passed over.
    boot_failed: bool,
    /// The stream on which the supervisor is told what happens; 0 before there is a sandbox.
    events: u32,
    /// Processes that the kernel has killed for want of memory, as far as they were told of.
    oom_kills: u64,
    sessions: BTreeMap<u32, Session>,
    files: Files,
    inside: Inside,
    deferred: Deferred,
    /// Outputs that may have something to read, in the order in which they get their turns.
    turns: VecDeque<(u32, Channel)>,
    /// Outputs that write in crumbs, and when they get their next turn.
    later: Vec<(u32, Channel)>,
    later_at: Option<Instant>,
    /// Commands whose leader has ended, and until when their outputs may end with it; the next one first.
    graces: VecDeque<(Instant, u32)>,
    processes: bool,
    /// All processes, while the guest is copied.
    frozen: Option<Frozen>,
    shutdown: Option<Shutdown>,
}

impl Agent {
    pub fn new(port: Port, modules: Modules) -> io::Result<Agent> {
        let signals = sys::signals(&[SIGCHLD, SIGTERM, SIGUSR1, SIGUSR2])?;
        let epoll = Epoll::new()?;
        port.register(&epoll, PORT)?;
        epoll.add(&signals, sys::READABLE, SIGNALS)?;
        let files = Files::new()?;
        files.register(&epoll, FILES)?;
        let relay = Relay::start()
            .map_err(|error| eprintln!("agent: the way to the host's files: {error}"));
        Ok(Agent {
            epoll,
            port,
            streams: Streams::default(),
            signals,
            random: File::open("/dev/urandom")?,
            null: None,
            modules,
            relay: relay.ok(),
            seeded: false,
            root: None,
            booted: false,
            environment: Vec::new(),
            tmp_size_mib: 0,
            network: None,
            installed: None,
            bare: None,
            boot_failed: false,
            events: 0,
            oom_kills: 0,
            sessions: BTreeMap::new(),
            files,
            inside: Inside::default(),
            deferred: Deferred::default(),
            turns: VecDeque::new(),
            later: Vec::new(),
            later_at: None,
            graces: VecDeque::new(),
            processes: false,
            frozen: None,
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
        self.files.stop();
        release_disks(&mut self.root);
        if let (Stop::ShutDown, Some(shutdown)) = (&stop, &self.shutdown) {
            for stream in &shutdown.streams {
                self.streams
                    .send(&mut self.port, *stream, &Message::ShuttingDown);
            }
            if let Err(error) = self.port.flush_until(Instant::now() + FAREWELL) {
                eprintln!("agent: the supervisor does not listen: {error}");
            }
        }
        stop
    }

    /// One round of the loop.
    fn turn(&mut self, events: &mut Vec<u64>) -> Result<(), Stop> {
        self.end_graces();
        self.pump_outputs()?;
        self.files.pump(&mut self.streams, &mut self.port);
        self.inside
            .pump(&mut self.streams, &mut self.port, &self.epoll);
        self.take_deferred()?;
        self.port.flush(&self.epoll, PORT)?;
        let timeout = self.timeout()?;
        self.epoll.wait(events, timeout)?;
        for token in events.iter() {
            match *token {
                PORT => self.receive()?,
                SIGNALS => self.take_signals()?,
                FILES => self.files.clear_wake(),
                SOCKET => self.inside.accept(&self.epoll),
                token if inside::is_connection(token) => self.inside.event(token, &self.epoll),
                token => self.session_event(token)?,
            }
        }
        Ok(())
    }

    /// Milliseconds that the next wait may take, -1 for any time.
    fn timeout(&mut self) -> Result<i32, Stop> {
        if self.port.has_room() && (!self.turns.is_empty() || self.files.waiting())
            || self.inside.waiting()
        {
            return Ok(0);
        }
        let grace = self.graces.front().map(|(until, _)| *until);
        let now = Instant::now();
        let timers = [self.later_at, grace].into_iter().flatten();
        let wait = timers
            .map(|at| at.saturating_duration_since(now))
            .chain(self.shutdown_wait()?)
            .min();
        // Rounded up, so that a wait does not end just before its time.
        Ok(wait.map_or(-1, |wait| {
            (wait.as_micros().min(60_000_000) as i32 + 999) / 1000
        }))
    }

    /// Takes the shutdown, if there is one, as far as it goes now.
    fn shutdown_wait(&mut self) -> Result<Option<Duration>, Stop> {
        let remaining = Remaining {
            processes: self.processes,
            commands: !self.sessions.is_empty() || self.files.busy() || !self.port.is_flushed(),
        };
        match &mut self.shutdown {
            None => Ok(None),
            Some(shutdown) => match shutdown.step(&remaining, || {
                self.files.stop();
                release_disks(&mut self.root)
            }) {
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
            let (streams, port) = (&mut self.streams, &mut self.port);
            match session.pump(channel, streams, port, &self.epoll)? {
                Turn::Again => self.turns.push_back((stream, channel)),
                Turn::Rest => {}
                Turn::Later => {
                    self.later.push((stream, channel));
                    self.later_at
                        .get_or_insert_with(|| Instant::now() + BREATHER);
                }
            }
            self.conclude(stream);
        }
        Ok(())
    }

    /// Tells the supervisor what has come of a session, and forgets one that is over.
    fn conclude(&mut self, stream: u32) {
        while let Some(session) = self.sessions.get_mut(&stream) {
            let message = match session.news() {
                News::Nothing => return,
                News::Exited(exited) => Message::ExecExited(exited),
                News::OutputsEnded => {
                    self.sessions.remove(&stream);
                    Message::OutputsEnded
                }
            };
            self.streams.send(&mut self.port, stream, &message);
        }
    }

    fn end_graces(&mut self) {
        while let Some((until, stream)) = self.graces.front().copied() {
            if Instant::now() < until {
                return;
            }
            self.graces.pop_front();
            if let Some(session) = self.sessions.get_mut(&stream) {
                session.end_grace();
                self.conclude(stream);
            }
        }
    }

    fn session_event(&mut self, event: u64) -> Result<(), Stop> {
        let (stream, channel) = from_token(event);
        let session = match self.sessions.get_mut(&stream) {
            Some(session) => session,
            None => return Ok(()),
        };
        match channel {
            Channel::Stdin => session.stdin.flush(
                (stream, event),
                &mut self.streams,
                &mut self.port,
                &self.epoll,
            ),
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

    fn take_signals(&mut self) -> Result<(), Stop> {
        while let Some(signal) = sys::next_signal(&self.signals) {
            match signal {
                SIGCHLD => self.reap(),
                // What busybox's halt, poweroff and reboot send to PID 1.
                _ => {
                    self.tell(&Message::PowerOff);
                    self.begin_shutdown(None, INSIDE_GRACE, SIGTERM)
                }
            }
        }
        Ok(())
    }

    /// Takes leave of every process that has ended, the commands' own and those that were left to PID 1.
    fn reap(&mut self) {
        let mut killed = false;
        loop {
            let (pid, ending) = match sys::reap() {
                Reaped::Process(pid, ending) => (pid, ending),
                Reaped::NoneEnded => break,
                Reaped::NoChildren => {
                    self.processes = false;
                    break;
                }
            };
            // A shell reports the end of a child that was killed as 128 + SIGKILL.
            killed |= ending.signal == 9 || ending.code == 137;
            let found = self
                .sessions
                .iter_mut()
                .find(|(_, session)| session.is_leader(pid));
            if let Some((&stream, session)) = found {
                if let Some(channel) = session.leader_ended(ending, &self.epoll) {
                    self.turns.push_back((stream, channel));
                }
                self.graces.push_back((Instant::now() + GRACE, stream));
                self.conclude(stream);
            }
        }
        if killed && self.shutdown.is_none() {
            let kills = stats::oom_kills();
            if kills > self.oom_kills {
                self.oom_kills = kills;
                self.tell(&Message::OutOfMemory(OutOfMemory { kills }));
            }
        }
    }

    /// Tells the supervisor what has happened. Before there is a sandbox there is nobody to be told.
    fn tell(&mut self, event: &Message) {
        self.streams.send(&mut self.port, self.events, event);
    }

    fn begin_shutdown(&mut self, stream: Option<u32>, grace: Duration, signal: i32) {
        self.files.release_disk();
        match &mut self.shutdown {
            Some(shutdown) => shutdown.hurry(stream, grace),
            None => {
                self.shutdown = Some(Shutdown::begin(stream, grace, signal));
                self.reap();
            }
        }
    }
}
