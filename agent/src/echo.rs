//! Run on the host: echo requests (ping) of a guest, by the kernel's ICMP sockets that need no privilege (icmp(7), `ping_group_range`).
//! Node has none. It says on its output what came back, until its input ends. All that a frame holds is decided elsewhere.
//!
//! First of all it says for IPv4 and for IPv6, a byte each, whether this host allows that: 1 or 0.
//!
//! A frame, both ways: two bytes with the length of the rest, the address (16 bytes; IPv4 as `::ffff:a.b.c.d`), two bytes with the
//! sequence number, and the data. Numbers are in network order.

use crate::sys::{self, Epoll};
use std::io::{self, Result, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::io::{AsFd, OwnedFd};

const INPUT: u64 = 0;
const IPV4: u64 = 1;
const IPV6: u64 = 2;
/// Type of a request and of a reply (RFC 792; RFC 4443, 4).
const ECHO: [(u8, u8); 2] = [(8, 0), (128, 129)];
const ICMP_HEADER: usize = 8;
const FRAME_HEADER: usize = 2 + ADDRESS + 2;
const ADDRESS: usize = 16;
const LONGEST: usize = 65_535;

/// A family's socket; None where this host does not allow one.
struct Pinger {
    fd: OwnedFd,
    socket: UdpSocket,
    request: u8,
    reply: u8,
}

/// Whether this process may ask, by IPv4 and by IPv6.
pub fn allowed() -> (bool, bool) {
    (Pinger::open(false).is_ok(), Pinger::open(true).is_ok())
}

/// Serves until the input ends.
pub fn relay() -> Result<()> {
    let pingers = [Pinger::open(false).ok(), Pinger::open(true).ok()];
    let mut output = io::stdout();
    let allows = pingers.iter().map(|pinger| u8::from(pinger.is_some()));
    output.write_all(&allows.collect::<Vec<_>>())?;
    output.flush()?;
    let epoll = Epoll::new()?;
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    epoll.add(&input, sys::READABLE, INPUT)?;
    for (pinger, token) in pingers.iter().zip([IPV4, IPV6]) {
        if let Some(pinger) = pinger {
            epoll.add(&pinger.fd, sys::READABLE, token)?;
        }
    }
    let mut pending = Vec::new();
    let mut buffer = vec![0; LONGEST];
    let mut events = Vec::new();
    loop {
        epoll.wait(&mut events, -1)?;
        for &token in &events {
            if token == INPUT {
                let length = sys::read(&input, &mut buffer)?;
                if length == 0 {
                    return Ok(());
                }
                pending.extend_from_slice(&buffer[..length]);
                take_frames(&mut pending, &pingers);
            } else if let Some(Some(pinger)) = pingers.get((token - IPV4) as usize) {
                if let Some(frame) = pinger.receive(&mut buffer) {
                    output.write_all(&frame)?;
                    output.flush()?;
                }
            }
        }
    }
}

/// Sends what whole frames ask for, and keeps the rest.
fn take_frames(pending: &mut Vec<u8>, pingers: &[Option<Pinger>; 2]) {
    let mut at = 0;
    while let Some(length) = pending.get(at..at + 2) {
        let end = at + 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
        let frame = match pending.get(at + 2..end) {
            Some(frame) => frame,
            None => break,
        };
        at = end;
        if let Some((address, rest)) = split(frame) {
            let pinger = &pingers[usize::from(address.is_ipv6())];
            if let Some(pinger) = pinger {
                // One that cannot be sent is lost, as any may be.
                let _ = pinger.send(address, rest);
            }
        }
    }
    pending.drain(..at);
}

/// The address, and what is behind it: sequence number and data.
fn split(frame: &[u8]) -> Option<(IpAddr, &[u8])> {
    let address = <[u8; ADDRESS]>::try_from(frame.get(..ADDRESS)?).ok()?;
    let rest = &frame[ADDRESS..];
    let six = Ipv6Addr::from(address);
    let mapped = address[..10] == [0; 10] && address[10..12] == [0xff; 2];
    let address = match six.to_ipv4() {
        Some(four) if mapped => IpAddr::V4(four),
        _ => IpAddr::V6(six),
    };
    (rest.len() >= 2).then_some((address, rest))
}

impl Pinger {
    fn open(six: bool) -> Result<Pinger> {
        let fd = sys::icmp_socket(six)?;
        let socket = UdpSocket::from(fd.try_clone()?);
        socket.set_nonblocking(true)?;
        let (request, reply) = ECHO[usize::from(six)];
        Ok(Pinger {
            fd,
            socket,
            request,
            reply,
        })
    }

    /// The kernel puts in the checksum, and an identifier of its own.
    fn send(&self, address: IpAddr, rest: &[u8]) -> Result<()> {
        let mut message = vec![self.request, 0, 0, 0, 0, 0];
        message.extend_from_slice(rest);
        self.socket.send_to(&message, SocketAddr::new(address, 0))?;
        Ok(())
    }

    /// The next answer, as a frame.
    fn receive(&self, buffer: &mut [u8]) -> Option<Vec<u8>> {
        let (length, from) = self.socket.recv_from(buffer).ok()?;
        let message = &buffer[..length];
        if length < ICMP_HEADER || message[0] != self.reply {
            return None;
        }
        let address = match from.ip() {
            IpAddr::V4(four) => four.to_ipv6_mapped(),
            IpAddr::V6(six) => six,
        };
        let rest = &message[ICMP_HEADER - 2..];
        let size = u16::try_from(ADDRESS + rest.len()).ok()?;
        let mut frame = Vec::with_capacity(FRAME_HEADER + rest.len());
        frame.extend_from_slice(&size.to_be_bytes());
        frame.extend_from_slice(&address.octets());
        frame.extend_from_slice(rest);
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_the_family_that_it_says() {
        let mut frame = vec![0; 10];
        frame.extend_from_slice(&[0xff, 0xff, 93, 184, 216, 34, 0, 7, 1, 2]);
        let (address, rest) = split(&frame).unwrap();
        assert_eq!(address.to_string(), "93.184.216.34");
        assert_eq!(rest, [0, 7, 1, 2]);
        frame[0] = 0x20;
        assert!(split(&frame).unwrap().0.is_ipv6());
        assert_eq!(split(&frame[..17]), None);
        assert_eq!(split(&[]), None);
    }

    #[test]
    fn frames_are_taken_as_they_come_in_pieces() {
        let mut pending = vec![0, 18];
        pending.extend_from_slice(&[0; 18]);
        pending.extend_from_slice(&[0, 18, 1]);
        take_frames(&mut pending, &[None, None]);
        assert_eq!(pending, [0, 18, 1]);
    }
}
