//! Connections of a guest that goes on in another machine than before. Whoever was at their other ends does not know this one, so that a
//! program that only waits for what comes would wait for ever.

use crate::sys;
use std::collections::HashSet;
use std::fs;
use std::io::Result;
use std::net::{IpAddr, TcpStream};

/// Resets all TCP connections with anything but the guest itself, whoever has them: the next that a program does with one fails with
/// ECONNRESET, or does now, if it waits. All processes stand still.
pub fn reset_outward() -> Result<()> {
    let mut seen = HashSet::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) {
            // One that has ended has none.
            let _ = reset_those_of(pid, &mut seen);
        }
    }
    Ok(())
}

/// `seen`: what sockets are called in /proc/PID/fd. Several processes may have the same.
fn reset_those_of(pid: i32, seen: &mut HashSet<String>) -> Result<()> {
    let mut process = None;
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        let target = fs::read_link(entry.path()).unwrap_or_default();
        let target = target.to_string_lossy();
        let name = entry.file_name();
        let number = match name.to_str().and_then(|name| name.parse().ok()) {
            Some(number) if target.starts_with("socket:") => number,
            _ => continue,
        };
        if !seen.insert(target.into_owned()) {
            continue;
        }
        let process = match &process {
            Some(process) => process,
            None => process.insert(sys::open_process(pid)?),
        };
        let socket = TcpStream::from(sys::descriptor_of(process, number)?);
        if is_outward(&socket) {
            sys::disconnect(&socket)?;
        }
    }
    Ok(())
}

fn is_outward(socket: &TcpStream) -> bool {
    match (socket.nodelay(), socket.local_addr(), socket.peer_addr()) {
        // Only TCP has the option, and only what is connected has a peer.
        (Ok(_), Ok(own), Ok(peer)) => {
            let (own, peer) = (plain(own.ip()), plain(peer.ip()));
            !peer.is_loopback() && own != peer
        }
        _ => false,
    }
}

/// What a socket for both families calls an address of the older one.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => match six.octets() {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, a, b, c, d] => IpAddr::from([a, b, c, d]),
            _ => address,
        },
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_outward, plain};
    use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
    use std::os::unix::io::OwnedFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_is_the_guests_own_is_left_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(!is_outward(&TcpStream::connect(address).unwrap()));
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.connect(address).unwrap();
        let (one, other) = UnixStream::pair().unwrap();
        let others: [OwnedFd; 4] = [listener.into(), udp.into(), one.into(), other.into()];
        for socket in others {
            assert!(!is_outward(&TcpStream::from(socket)));
        }
    }

    #[test]
    fn addresses_of_both_families() {
        let same = |one: &str, other: &str| {
            let [one, other]: [IpAddr; 2] = [one.parse().unwrap(), other.parse().unwrap()];
            plain(one) == other
        };
        assert!(same("::ffff:10.1.2.3", "10.1.2.3"));
        assert!(same("10.1.2.3", "10.1.2.3"));
        assert!(same("2001:db8::1", "2001:db8::1"));
        assert!(!same("::ffff:10.1.2.3", "10.1.2.4"));
    }
}
