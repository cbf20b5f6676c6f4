//! Names to addresses, without the C library: statically linked, it would load parts of the image's. `/etc/hosts` (hosts(5)), then the
//! resolvers of `/etc/resolv.conf`, asked over UDP for one kind of address after the other (RFC 1035, 4).

use std::fs::{self, File};
use std::io::{Error, ErrorKind, Read, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 2;
const MOST_RESOLVERS: usize = 3;
const A: u16 = 1;
const AAAA: u16 = 28;
const HEADER: usize = 12;

/// The addresses of a host, those first that are to be tried first.
pub fn addresses(host: &str) -> Result<Vec<IpAddr>> {
    if let Ok(address) = host.trim_matches(|bracket| "[]".contains(bracket)).parse() {
        return Ok(vec![address]);
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let known = in_hosts(&fs::read_to_string("/etc/hosts").unwrap_or_default(), &name);
    if !known.is_empty() {
        return Ok(known);
    }
    if name == "localhost" || name.ends_with(".localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let resolvers = resolvers(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    let mut found = Vec::new();
    for kind in [A, AAAA] {
        found.extend(ask_all(&resolvers, &name, kind)?);
    }
    if found.is_empty() {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("{host} has no address"),
        ));
    }
    Ok(found)
}

fn in_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words
            .any(|word| word.eq_ignore_ascii_case(name))
            .then(|| address)
    });
    lines.collect()
}

fn resolvers(text: &str) -> Vec<IpAddr> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => words.next()?.parse().ok(),
            _ => None,
        }
    });
    lines.take(MOST_RESOLVERS).collect()
}

fn ask_all(resolvers: &[IpAddr], name: &str, kind: u16) -> Result<Vec<IpAddr>> {
    let mut last = Error::new(ErrorKind::NotFound, "the guest has no resolver");
    for _ in 0..ATTEMPTS {
        for resolver in resolvers {
            match ask(*resolver, name, kind) {
                Ok(found) => return Ok(found),
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

fn ask(resolver: IpAddr, name: &str, kind: u16) -> Result<Vec<IpAddr>> {
    let mut id = [0; 2];
    File::open("/dev/urandom")?.read_exact(&mut id)?;
    let question = question(id, name, kind)?;
    let any: IpAddr = match resolver {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((resolver, 53))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(&question)?;
    let mut answer = [0; 4096];
    let count = socket.recv(&mut answer)?;
    let answer = &answer[..count];
    if answer.get(..2) != Some(&id[..]) {
        return Err(bad());
    }
    read_answer(answer, kind)
}

fn question(id: [u8; 2], name: &str, kind: u16) -> Result<Vec<u8>> {
    // Recursion is desired; one question.
    let mut bytes = vec![id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{name} is no name"),
            ));
        }
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    Ok(bytes)
}

/// The addresses of an answer, whatever names they have: those of aliases are meant, too.
fn read_answer(answer: &[u8], kind: u16) -> Result<Vec<IpAddr>> {
    let short = |at: usize| -> Result<u16> {
        let bytes = answer.get(at..at + 2).ok_or_else(bad)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    };
    // No such name is an answer; that the resolver could not or would not say is none.
    match short(2)? & 0xf {
        0 | 3 => {}
        5 => {
            return Err(Error::new(
                ErrorKind::PermissionDenied,
                "the resolver refused the name",
            ))
        }
        _ => {
            return Err(Error::new(
                ErrorKind::Other,
                "the resolver could not look up the name",
            ))
        }
    }
    let mut at = HEADER;
    for _ in 0..short(4)? {
        at = after_name(answer, at)? + 4;
    }
    let mut found = Vec::new();
    for _ in 0..short(6)? {
        at = after_name(answer, at)?;
        let length = usize::from(short(at + 8)?);
        let data = answer.get(at + 10..at + 10 + length).ok_or_else(bad)?;
        match (short(at)?, kind, data.len()) {
            (A, A, 4) => found.push(Ipv4Addr::new(data[0], data[1], data[2], data[3]).into()),
            (AAAA, AAAA, 16) => {
                let mut octets = [0; 16];
                octets.copy_from_slice(data);
                found.push(Ipv6Addr::from(octets).into());
            }
            _ => {}
        }
        at += 10 + length;
    }
    Ok(found)
}

fn after_name(answer: &[u8], mut at: usize) -> Result<usize> {
    loop {
        match *answer.get(at).ok_or_else(bad)? {
            0 => return Ok(at + 1),
            length if length & 0xc0 == 0xc0 => return Ok(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

fn bad() -> Error {
    Error::new(ErrorKind::InvalidData, "the resolver's answer is none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_resolvers_are_read() {
        let hosts =
            "127.0.0.1 localhost\n::1 localhost # six\n# 1.2.3.4 db\n10.0.0.5\tDB db.local\n";
        assert_eq!(
            in_hosts(hosts, "db"),
            ["10.0.0.5".parse::<IpAddr>().unwrap()]
        );
        assert_eq!(in_hosts(hosts, "localhost").len(), 2);
        assert_eq!(in_hosts(hosts, "other").len(), 0);
        let text = "search x\nnameserver 10.0.0.1\nnameserver nonsense\nnameserver fd00::1\n";
        assert_eq!(resolvers(text).len(), 2);
    }

    #[test]
    fn an_answer_with_an_alias_is_read() {
        let mut answer = question([7, 7], "a.example", A).unwrap();
        answer[2] = 0x81;
        answer[7] = 2;
        // The alias, then its address.
        answer.extend_from_slice(&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 14]);
        answer.extend_from_slice(&[0xc0, 14, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 7]);
        let found = read_answer(&answer, A).unwrap();
        assert_eq!(found, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        for end in 0..answer.len() {
            // Whatever is cut off, nothing is read beyond the end.
            assert!(read_answer(&answer[..end], A).is_err());
        }
    }

    #[test]
    fn names_that_are_none_are_refused() {
        assert!(question([0, 0], "a..b", A).is_err());
        assert!(question([0, 0], &"x".repeat(64), A).is_err());
    }
}
