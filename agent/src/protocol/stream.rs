//! The streams of the connection: their numbers, what may travel on them, credit, half-close and abort. This is the same for
//! every service, and the other side of `src/protocol/streams.ts`.
//!
//! The supervisor opens streams with odd numbers and the agent with even ones (as in HTTP/2: RFC 9113, 5.1.1). Numbers only
//! grow. Whoever accepted a stream has the last word on it; what the other one sent before it knew is passed over.

use crate::generated::limits::{CREDIT_PORTIONS, INITIAL_CREDIT};
use crate::generated::messages::{Credit, Failure, Message};
use crate::generated::services::{is_for_connection, Service};
use crate::protocol::frame::{Frame, FrameKind};
use crate::protocol::port::Port;
use crate::protocol::wire::WireError;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::unix::io::OwnedFd;

/// The rule that a frame of the supervisor's breaks.
#[derive(Debug, PartialEq)]
pub struct Fault {
    stream: u32,
    pub rule: Rule,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    Wire(WireError),
    NotConnections,
    NotOpen,
    UsedBefore,
    NotOfService,
    NoDataThisWay,
    DataAfterEnd,
    SaidTwice,
    MoreThanCredit,
    CreditNotEarned,
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(match self {
            Rule::Wire(error) => return error.fmt(out),
            Rule::NotConnections => "not the connection's",
            Rule::NotOpen => "not open",
            Rule::UsedBefore => "number used before",
            Rule::NotOfService => "not of this service",
            Rule::NoDataThisWay => "no data this way",
            Rule::DataAfterEnd => "data after its end",
            Rule::SaidTwice => "said twice",
            Rule::MoreThanCredit => "more than its credit",
            Rule::CreditNotEarned => "credit that was never earned",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(
            out,
            "protocol fault on stream {}: {}",
            self.stream, self.rule
        )
    }
}

/// What a frame means to the service of its stream.
#[derive(Debug, PartialEq)]
pub enum Event<'a> {
    /// A message on stream 0.
    Connection(Message),
    /// The supervisor has opened a stream.
    Opened(u32, Message),
    /// A message of the service.
    Message(u32, Message),
    /// Bytes, which count against the supervisor's credit until they are consumed.
    Data(u32, FrameKind, &'a [u8]),
    /// The supervisor sends no more data.
    Ended(u32),
    /// So many bytes more can be sent than before; 0: whatever is sent is dropped from now on.
    Writable(u32, usize),
    /// The supervisor wants no more of a stream that it has opened: it has to be told the last word.
    Aborted(u32, Failure),
    /// Nothing that a service has to know of.
    Nothing,
}

struct Stream {
    service: Service,
    /// Opened by the agent.
    ours: bool,
    /// Bytes that the agent may send.
    credit: usize,
    /// Bytes that the supervisor may send.
    window: usize,
    /// Bytes consumed, for which no credit was granted yet.
    owed: usize,
    /// The supervisor sends no more data.
    ended: bool,
    /// The supervisor wants no more data.
    stopped: bool,
}

impl Stream {
    fn new(service: Service, ours: bool) -> Stream {
        Stream {
            service,
            ours,
            credit: INITIAL_CREDIT,
            window: INITIAL_CREDIT,
            owed: 0,
            ended: false,
            stopped: false,
        }
    }

    /// Whether the supervisor may send data, and extra.
    fn data_in(&self) -> (bool, bool) {
        match self.ours {
            true => self.service.acceptor_data(),
            false => self.service.opener_data(),
        }
    }

    fn sends_data(&self) -> bool {
        let (data, extra) = match self.ours {
            true => self.service.opener_data(),
            false => self.service.acceptor_data(),
        };
        data || extra
    }
}

#[derive(Default)]
pub struct Streams {
    open: BTreeMap<u32, Stream>,
    /// The last number that the supervisor has opened a stream with.
    highest: u32,
    /// The last number that the agent has opened a stream with.
    own: u32,
}

impl Streams {
    /// Judges a frame and says what it means.
    pub fn receive<'a>(&mut self, frame: &Frame<'a>) -> Result<Event<'a>, Fault> {
        let stream = frame.stream;
        let result = match frame.kind {
            FrameKind::Control => match Message::decode(frame.payload) {
                Ok(message) => self.message(stream, message),
                Err(error) => Err(Rule::Wire(error)),
            },
            kind => self.data(stream, kind, frame.payload),
        };
        result.map_err(|rule| Fault { stream, rule })
    }

    fn message(&mut self, id: u32, message: Message) -> Result<Event<'static>, Rule> {
        if id == 0 {
            return match is_for_connection(&message) {
                true => Ok(Event::Connection(message)),
                false => Err(Rule::NotConnections),
            };
        }
        let stream = match self.open.get_mut(&id) {
            Some(stream) => stream,
            None => return self.accept(id, message),
        };
        match message {
            Message::Credit(Credit { bytes }) => {
                let credit = stream.credit + bytes as usize;
                if !stream.sends_data() {
                    return Err(Rule::NoDataThisWay);
                }
                if bytes == 0 || credit > INITIAL_CREDIT {
                    return Err(Rule::CreditNotEarned);
                }
                stream.credit = credit;
                Ok(Event::Writable(id, bytes as usize))
            }
            Message::End => match stream.data_in() {
                (false, false) => Err(Rule::NoDataThisWay),
                _ if std::mem::replace(&mut stream.ended, true) => Err(Rule::SaidTwice),
                _ => Ok(Event::Ended(id)),
            },
            Message::StopSending => {
                if !stream.sends_data() {
                    return Err(Rule::NoDataThisWay);
                }
                if std::mem::replace(&mut stream.stopped, true) {
                    return Err(Rule::SaidTwice);
                }
                Ok(Event::Writable(id, 0))
            }
            Message::Failure(failure) => {
                if !stream.ours {
                    return Ok(Event::Aborted(id, failure));
                }
                self.open.remove(&id);
                Ok(Event::Nothing)
            }
            message if stream.ours && stream.service.from_acceptor(&message) => {
                if stream.service.ends_with(&message) {
                    self.open.remove(&id);
                }
                Ok(Event::Message(id, message))
            }
            message if !stream.ours && stream.service.from_opener(&message) => {
                Ok(Event::Message(id, message))
            }
            _ => Err(Rule::NotOfService),
        }
    }

    fn accept(&mut self, id: u32, message: Message) -> Result<Event<'static>, Rule> {
        let service = Service::opened_by(&message);
        if self.crossed(id) {
            return match service {
                Some(_) => Err(Rule::UsedBefore),
                None => Ok(Event::Nothing),
            };
        }
        match service {
            Some(service) if id % 2 == 1 => {
                self.highest = id;
                self.open.insert(id, Stream::new(service, false));
                Ok(Event::Opened(id, message))
            }
            _ => Err(Rule::NotOpen),
        }
    }

    fn data<'a>(&mut self, id: u32, kind: FrameKind, payload: &'a [u8]) -> Result<Event<'a>, Rule> {
        let crossed = self.crossed(id);
        let stream = match self.open.get_mut(&id) {
            Some(stream) => stream,
            None if crossed => return Ok(Event::Nothing),
            None => return Err(Rule::NotOpen),
        };
        let (data, extra) = stream.data_in();
        if !(if kind == FrameKind::Data { data } else { extra }) {
            return Err(Rule::NoDataThisWay);
        }
        if stream.ended {
            return Err(Rule::DataAfterEnd);
        }
        stream.window = stream
            .window
            .checked_sub(payload.len())
            .ok_or(Rule::MoreThanCredit)?;
        Ok(Event::Data(id, kind, payload))
    }

    /// Whether this may be about a stream of the supervisor's that has ended: then it met the last word on the way.
    fn crossed(&self, id: u32) -> bool {
        id % 2 == 1 && id <= self.highest
    }

    /// A guest that was copied meets another supervisor, which numbers its streams from the beginning. The one that saved it
    /// has none open then.
    pub fn meet_supervisor(&mut self) {
        if self.open.values().all(|stream| stream.ours) {
            self.highest = 0;
        }
    }

    /// Opens a stream of the agent's own. Returns its number.
    pub fn open(&mut self, port: &mut Port, opening: &Message) -> u32 {
        let service = Service::opened_with(opening).expect("a message that opens a stream");
        self.own += 2;
        self.open.insert(self.own, Stream::new(service, true));
        port.send(self.own, opening);
        self.own
    }

    /// Sends a message of the service. Nothing is sent on a stream that is over, and with the last word it is.
    pub fn send(&mut self, port: &mut Port, id: u32, message: &Message) {
        if let Some(stream) = self.open.get(&id) {
            port.send(id, message);
            if !stream.ours && stream.service.ends_with(message) {
                self.open.remove(&id);
            }
        }
    }

    /// Bytes that may be sent now.
    pub fn credit(&self, id: u32) -> usize {
        match self.open.get(&id) {
            // It is dropped, and must not be held up by what the supervisor does not take.
            Some(stream) if stream.stopped => usize::MAX,
            Some(stream) => stream.credit,
            None => 0,
        }
    }

    /// Sends bytes, at most as many as there is credit for.
    pub fn send_data(&mut self, port: &mut Port, id: u32, kind: FrameKind, bytes: &[u8]) {
        match self.open.get_mut(&id) {
            Some(stream) if !stream.stopped => {
                stream.credit -= bytes.len();
                port.send_data(id, kind, bytes);
            }
            _ => {}
        }
    }

    /// Sends whole frames of data with so many bytes in them, for which there must be credit.
    pub fn send_frames(&mut self, port: &mut Port, id: u32, frames: Vec<u8>, bytes: usize) {
        match self.open.get_mut(&id) {
            Some(stream) if !stream.stopped => {
                stream.credit -= bytes;
                port.send_frames(frames);
            }
            _ => {}
        }
    }

    /// Sends what a descriptor has to read now, at most `most` bytes, for which there must be credit. Returns how many bytes
    /// that was; 0 at the end.
    pub fn forward(
        &mut self,
        port: &mut Port,
        id: u32,
        kind: FrameKind,
        (from, most): (&OwnedFd, usize),
    ) -> io::Result<usize> {
        match self.open.get_mut(&id) {
            Some(stream) if !stream.stopped => {
                let count = port.forward(id, kind, from, most.min(stream.credit))?;
                stream.credit -= count;
                Ok(count)
            }
            _ => port.discard(from, most),
        }
    }

    /// So many of the bytes that were received are done with. Credit is granted in portions, so that small ones do not cost a
    /// message each.
    pub fn consume(&mut self, port: &mut Port, id: u32, bytes: usize) {
        if let Some(stream) = self.open.get_mut(&id) {
            stream.owed += bytes;
            if stream.owed * CREDIT_PORTIONS >= INITIAL_CREDIT {
                let bytes = std::mem::take(&mut stream.owed);
                stream.window += bytes;
                let bytes = bytes as u32;
                port.send(id, &Message::Credit(Credit { bytes }));
            }
        }
    }

    /// Nobody here has a use for more data.
    pub fn stop_sending(&mut self, port: &mut Port, id: u32) {
        self.send(port, id, &Message::StopSending);
    }
}

#[cfg(test)]
mod tests;
