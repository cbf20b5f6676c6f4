//! The socket at which programs of the guest tell the host of events, and are told of some: `/run/agent.sock`. Each line is a JSON object;
//! docs/events.md has all of them.
//!
//! Whoever is connected may be hostile. Every turn of the event loop does a bounded piece of this work, what is kept has a bound for
//! each connection and one for all, and from programs no more is read than the supervisor takes.

mod connection;
pub mod emit;
mod json;
mod request;

use crate::generated::messages::{Message, TellInside, ToldInside};
use crate::protocol::frame::FrameKind;
use crate::protocol::port::Port;
use crate::protocol::stream::Streams;
use crate::sys::{self, Epoll};
use connection::{Connection, Turn};
use request::{is_wanted, Request};
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, Permissions};
use std::io::Result;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

/// The socket itself: what programs of the guest do to `/run` leaves it alone.
pub const SOCKET: &str = "/.msb/agent.sock";
/// The name that programs know it by: a link to it.
pub const LINK: &str = "/run/agent.sock";
/// Tokens of connections: above those of any stream's, and below those that the agent has for itself.
const FIRST_TOKEN: u64 = 1 << 62;
/// Connections that are taken in a turn of the event loop.
const ACCEPTS_PER_TURN: usize = 16;
const MOST_CONNECTIONS: usize = 256;
/// Of one user: no user can keep the others away.
const MOST_OF_A_USER: usize = 64;
/// Bytes of what all have begun to say.
const MOST_BEGUN: usize = 16 << 20;
/// Bytes of what all have not read yet.
const MOST_UNREAD: usize = 16 << 20;
/// Bytes; while more than this waits for the supervisor, nothing is read.
const OUT_BOUND: usize = 256 << 10;
/// Bytes; what one frame of data may have.
const FRAME_BYTES: usize = crate::generated::limits::MAX_DATA_PAYLOAD;
/// The kind of a record that is about what a program has told.
const GUEST_KIND: u8 = 0;

#[derive(Default)]
pub struct Inside {
    listener: Option<UnixListener>,
    connections: BTreeMap<u64, Connection>,
    last_token: u64,
    /// Those that may have something to say, in the order in which they get their turns.
    turns: VecDeque<u64>,
    /// The stream on which the supervisor listens; 0: it does not.
    stream: u32,
    /// Records for it.
    out: Vec<u8>,
    /// How much of their front has been sent.
    sent: usize,
}

/// Whether a token of the epoll is a connection's.
pub fn is_connection(token: u64) -> bool {
    (FIRST_TOKEN..FIRST_TOKEN << 1).contains(&token)
}

impl Inside {
    /// Makes the socket. Its directory is the agent's own.
    pub fn open(&mut self, epoll: &Epoll, token: u64) -> Result<()> {
        let listener = UnixListener::bind(SOCKET)?;
        fs::set_permissions(SOCKET, Permissions::from_mode(0o666))?;
        listener.set_nonblocking(true)?;
        epoll.add(&listener, sys::READABLE, token)?;
        self.listener = Some(listener);
        Ok(())
    }

    /// The supervisor listens from now on.
    pub fn listen(&mut self, stream: u32) {
        self.stream = stream;
    }

    /// It does no more, if it did on this stream.
    pub fn abort(&mut self, stream: u32) {
        if self.stream == stream {
            self.stream = 0;
            self.out = Vec::new();
            self.sent = 0;
        }
    }

    /// Takes those who want to be connected.
    pub fn accept(&mut self, epoll: &Epoll) {
        for _ in 0..ACCEPTS_PER_TURN {
            match self.listener.as_ref().map(UnixListener::accept) {
                Some(Ok((stream, _))) => self.connect(stream, epoll),
                _ => return,
            }
        }
    }

    fn connect(&mut self, stream: UnixStream, epoll: &Epoll) {
        let uid = match sys::peer_user(&stream) {
            Ok(uid) => uid,
            Err(_) => return,
        };
        let of_user = self.connections.values().filter(|other| other.uid == uid);
        if self.connections.len() >= MOST_CONNECTIONS || of_user.count() >= MOST_OF_A_USER {
            let _ = stream.set_nonblocking(true);
            let line = b"{\"error\":\"there are too many connections\"}\n";
            let _ = std::io::Write::write(&mut &stream, line);
            return;
        }
        self.last_token = (self.last_token + 1) % FIRST_TOKEN;
        let token = FIRST_TOKEN + self.last_token;
        if let Ok(connection) = Connection::new(stream, uid, epoll, token) {
            self.connections.insert(token, connection);
        }
    }

    /// Something has come to pass on a connection.
    pub fn event(&mut self, token: u64, epoll: &Epoll) {
        let connection = match self.connections.get_mut(&token) {
            Some(connection) => connection,
            None => return,
        };
        if !connection.flush() || (connection.has_ended() && connection.is_left()) {
            self.connections.remove(&token);
            return;
        }
        if !connection.has_ended() && !connection.queued {
            connection.queued = true;
            self.turns.push_back(token);
        }
        self.settle(token, epoll);
    }

    /// Whether there is something that can be done now.
    pub fn waiting(&self) -> bool {
        !self.turns.is_empty() && self.has_room()
    }

    fn has_room(&self) -> bool {
        self.out.len() - self.sent < OUT_BOUND
    }

    /// Sends what the supervisor takes, and reads what one of the programs says.
    pub fn pump(&mut self, streams: &mut Streams, port: &mut Port, epoll: &Epoll) {
        self.send(streams, port);
        if !self.has_room() {
            return;
        }
        if let Some(token) = self.turns.pop_front() {
            self.take_turn(token, epoll);
            self.send(streams, port);
        }
    }

    fn send(&mut self, streams: &mut Streams, port: &mut Port) {
        while self.sent < self.out.len() && port.has_room() {
            let left = self.out.len() - self.sent;
            let count = left.min(FRAME_BYTES).min(streams.credit(self.stream));
            if count == 0 {
                return;
            }
            let bytes = &self.out[self.sent..self.sent + count];
            streams.send_data(port, self.stream, FrameKind::Data, bytes);
            self.sent += count;
        }
        if self.sent == self.out.len() {
            // What was large once is not kept.
            self.out = Vec::new();
            self.sent = 0;
        } else if self.sent >= OUT_BOUND {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }

    fn take_turn(&mut self, token: u64, epoll: &Epoll) {
        let mut connection = match self.connections.remove(&token) {
            Some(connection) => connection,
            None => return,
        };
        connection.queued = false;
        let (out, listened) = (&mut self.out, self.stream != 0);
        let turn = connection.read(|connection, line| {
            if let Err(words) = take_line(connection, line, out, listened) {
                let line = format!("{{\"error\":\"{words}\"}}\n");
                // Whoever does not read what is wrong is not told more of it.
                if connection.unread() < FRAME_BYTES {
                    connection.tell(line.as_bytes(), usize::MAX);
                }
            }
        });
        match turn {
            Turn::Again => {
                connection.queued = true;
                self.turns.push_back(token);
            }
            Turn::Rest | Turn::Ended => {}
            Turn::Over => {
                connection.tell(b"{\"error\":\"a line is too long\"}\n", usize::MAX);
                connection.flush();
                return;
            }
        }
        if !connection.flush() {
            return;
        }
        self.connections.insert(token, connection);
        self.settle(token, epoll);
        self.keep_bound();
    }

    /// Takes leave of a connection that is over, and has the others wait for what comes next.
    fn settle(&mut self, token: u64, epoll: &Epoll) {
        if let Some(connection) = self.connections.get_mut(&token) {
            // Who has said its last may go on listening, as long as it is there.
            let is_over = connection.has_ended()
                && ((connection.names.is_empty() && connection.unread() == 0)
                    || connection.is_left());
            if is_over || connection.arm(epoll, token).is_err() {
                self.connections.remove(&token);
            }
        }
    }

    /// What all together have begun to say has a bound: whoever has begun the longest line makes room.
    fn keep_bound(&mut self) {
        let begun: usize = self.connections.values().map(Connection::begun).sum();
        if begun <= MOST_BEGUN {
            return;
        }
        let longest = self.connections.iter().max_by_key(|(_, one)| one.begun());
        if let Some(token) = longest.map(|(token, _)| *token) {
            self.connections.remove(&token);
        }
    }

    /// Tells those who listen for it of an event.
    pub fn tell(&mut self, event: &TellInside, epoll: &Epoll) -> Message {
        let mut told = ToldInside {
            listeners: 0,
            missed: 0,
        };
        let line = line_of(event);
        let unread: usize = self.connections.values().map(Connection::unread).sum();
        let mut room = MOST_UNREAD.saturating_sub(unread);
        let tokens: Vec<u64> = self.connections.keys().copied().collect();
        for token in tokens {
            let connection = match self.connections.get_mut(&token) {
                Some(connection) => connection,
                None => continue,
            };
            let names = &connection.names;
            if !names.iter().any(|wanted| is_wanted(wanted, &event.name)) {
                continue;
            }
            let before = connection.unread();
            let is_told = connection.flush() && connection.tell(&line, room);
            if !connection.flush() {
                self.connections.remove(&token);
                continue;
            }
            room = (room + before).saturating_sub(connection.unread());
            told.listeners += 1;
            told.missed += u32::from(!is_told);
            self.settle(token, epoll);
        }
        Message::ToldInside(told)
    }
}

fn line_of(event: &TellInside) -> Vec<u8> {
    let mut line = Vec::with_capacity(event.data.len() + 2 * event.name.len() + 64);
    line.extend_from_slice(b"{\"event\":");
    json::quote(&event.name, &mut line);
    if !event.data.is_empty() {
        line.extend_from_slice(b",\"data\":");
        line.extend_from_slice(&event.data);
    }
    line.extend_from_slice(format!(",\"time\":{}}}\n", event.time_ms).as_bytes());
    line
}

/// Does what a line says. `out` is for records of events, which nobody wants unless the supervisor listens.
fn take_line(
    connection: &mut Connection,
    line: &[u8],
    out: &mut Vec<u8>,
    listened: bool,
) -> std::result::Result<(), &'static str> {
    match request::parse(line)? {
        Request::Event { name, data } => {
            if listened {
                push_record(out, &name, data);
            }
        }
        Request::Subscribe(names) => {
            let mut line = b"{\"subscribed\":[".to_vec();
            for (index, name) in names.iter().enumerate() {
                if index > 0 {
                    line.push(b',');
                }
                json::quote(name, &mut line);
            }
            line.extend_from_slice(b"]}\n");
            connection.names = names;
            connection.tell(&line, usize::MAX);
        }
    }
    Ok(())
}

/// As `src/protocol/event-records.ts` reads it. The supervisor knows better what time it is.
fn push_record(out: &mut Vec<u8>, name: &str, data: &str) {
    let length = 1 + 8 + 2 + name.len() + data.len();
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.push(GUEST_KIND);
    out.extend_from_slice(&0u64.to_be_bytes());
    out.extend_from_slice(&(name.len() as u16).to_be_bytes());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(data.as_bytes());
}

#[cfg(test)]
mod tests;
