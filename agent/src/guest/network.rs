//! The guest's end of its only cable: addresses, routes and MTU, by netlink(7), as the host has said. There is nobody to ask:
//! no DHCP, no router advertisements.

use crate::failure::{While, GUEST};
use crate::generated::messages::{BootFailed, GuestAddress, GuestNetwork};
use crate::sys;
use std::fs;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::path::Path;

/// The kernel's name of the first interface, as there is nobody who names it otherwise.
const INTERFACE: &str = "eth0";
/// The number of `lo` in every network namespace (`LOOPBACK_IFINDEX`, net/flow.h).
const LOOPBACK: u32 = 1;

// linux/rtnetlink.h, linux/netlink.h, linux/if_link.h, linux/if_addr.h
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;
const IFF_UP: u32 = 1;
const IFLA_ADDRESS: u16 = 1;
const IFLA_MTU: u16 = 4;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// Nobody else is on the cable, so nobody can have the same address.
const IFA_F_NODAD: u8 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_BOOT: u8 = 3;
const RTN_UNICAST: u8 = 1;
/// The gateway is at the other end, whatever the prefix says.
const RTNH_F_ONLINK: u32 = 4;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// Whether this machine has a cable at all.
pub fn is_there() -> bool {
    Path::new("/sys/class/net").join(INTERFACE).exists()
}

/// Sets up the guest's way to itself, which every machine has.
pub fn set_up_loopback() -> Result<()> {
    let mut requests = Requests::default();
    requests.begin_up(LOOPBACK);
    requests.end();
    requests.carry_out()
}

/// Sets up the interface. Its addresses can be used when this returns.
pub fn set_up(network: &GuestNetwork) -> std::result::Result<(), BootFailed> {
    if !is_there() {
        return Err(BootFailed {
            step: String::from(GUEST),
            errno: sys::ENODEV,
            message: format!("{INTERFACE}: this kernel has no driver for its network card (virtio_net); build it in, or disable the sandbox's network"),
        });
    }
    be_silent().during(GUEST, INTERFACE)?;
    change(&[], network)
}

/// Sets it up in another way than it is: `before` are its addresses.
pub fn change(
    before: &[GuestAddress],
    network: &GuestNetwork,
) -> std::result::Result<(), BootFailed> {
    configure(before, network).during(GUEST, INTERFACE)
}

/// No questions that nobody answers: no duplicate address detection, no router solicitations.
fn be_silent() -> Result<()> {
    let directory = format!("/proc/sys/net/ipv6/conf/{INTERFACE}");
    // A kernel of the user's may be without IPv6.
    if !Path::new(&directory).exists() {
        return Ok(());
    }
    for name in ["accept_ra", "accept_dad", "router_solicitations"] {
        fs::write(format!("{directory}/{name}"), "0")?;
    }
    Ok(())
}

fn configure(before: &[GuestAddress], network: &GuestNetwork) -> Result<()> {
    let path = format!("/sys/class/net/{INTERFACE}/ifindex");
    let index: u32 = fs::read_to_string(path)?
        .trim()
        .parse()
        .map_err(|_| Error::from_raw_os_error(sys::EINVAL))?;
    let mut requests = Requests::default();
    requests.begin_up(index);
    requests.attribute(IFLA_ADDRESS, &network.mac);
    requests.attribute(IFLA_MTU, &network.mtu.to_ne_bytes());
    requests.end();
    // Routes go with the address that they lead from.
    for one in before {
        requests.address(RTM_DELADDR, 0, one, index);
    }
    for one in &network.addresses {
        requests.address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, one, index);
        let family = family_of(one);
        // struct rtmsg: family, lengths of both prefixes, TOS, table, protocol, scope, type, flags.
        requests.begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
        requests.put(&[family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST]);
        requests.put(&RTNH_F_ONLINK.to_ne_bytes());
        requests.attribute(RTA_GATEWAY, &one.gateway);
        requests.attribute(RTA_OIF, &index.to_ne_bytes());
        requests.end();
    }
    requests.carry_out()
}

fn family_of(one: &GuestAddress) -> u8 {
    if one.address.len() == 4 {
        AF_INET
    } else {
        AF_INET6
    }
}

/// Several requests in the kernel's form, one after the other, each with a number.
#[derive(Default)]
struct Requests {
    bytes: Vec<u8>,
    /// Where the last one begins.
    begin: usize,
    count: u32,
}

impl Requests {
    fn begin(&mut self, kind: u16, flags: u16) {
        self.begin = self.bytes.len();
        self.count += 1;
        // struct nlmsghdr: length, type, flags, number, whose.
        self.put(&[0; 4]);
        self.put(&kind.to_ne_bytes());
        self.put(&(NLM_F_REQUEST | NLM_F_ACK | flags).to_ne_bytes());
        self.put(&self.count.to_ne_bytes());
        self.put(&[0; 4]);
    }

    /// Begins to set an interface up.
    fn begin_up(&mut self, index: u32) {
        // struct ifinfomsg: family, padding, type, index, flags, which of them change.
        self.begin(RTM_NEWLINK, 0);
        self.put(&[0, 0, 0, 0]);
        self.put(&index.to_ne_bytes());
        self.put(&IFF_UP.to_ne_bytes());
        self.put(&IFF_UP.to_ne_bytes());
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = 4 + value.len() as u16;
        self.put(&length.to_ne_bytes());
        self.put(&kind.to_ne_bytes());
        self.put(value);
        while self.bytes.len() % 4 != 0 {
            self.bytes.push(0);
        }
    }

    fn address(&mut self, kind: u16, flags: u16, one: &GuestAddress, index: u32) {
        let family = family_of(one);
        let mode = if family == AF_INET6 { IFA_F_NODAD } else { 0 };
        // struct ifaddrmsg: family, prefix, flags, scope, index.
        self.begin(kind, flags);
        self.put(&[family, one.prefix, mode, 0]);
        self.put(&index.to_ne_bytes());
        self.attribute(IFA_LOCAL, &one.address);
        self.attribute(IFA_ADDRESS, &one.address);
        self.end();
    }

    fn end(&mut self) {
        let length = (self.bytes.len() - self.begin) as u32;
        self.bytes[self.begin..self.begin + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Hands all of them to the kernel, and waits for what it says of each.
    fn carry_out(&self) -> Result<()> {
        let mut socket = sys::netlink_route()?;
        socket.write_all(&self.bytes)?;
        let mut answers = Answers::default();
        let mut buffer = [0; 8192];
        while answers.count < self.count {
            let length = socket.read(&mut buffer)?;
            answers.read(&buffer[..length])?;
        }
        Ok(())
    }
}

/// What the kernel has said so far.
#[derive(Default)]
struct Answers {
    count: u32,
}

impl Answers {
    /// Fails with the first request that failed.
    fn read(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let length = number(bytes, 0)? as usize;
            if length < 16 || length > bytes.len() {
                return Err(Error::from(ErrorKind::InvalidData));
            }
            let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
            if kind == NLMSG_ERROR {
                let code = number(bytes, 16)? as i32;
                if code != 0 {
                    return Err(Error::from_raw_os_error(-code));
                }
                self.count += 1;
            }
            let next = (length + 3) & !3;
            bytes = bytes.get(next..).unwrap_or(&[]);
        }
        Ok(())
    }
}

fn number(bytes: &[u8], at: usize) -> Result<u32> {
    match bytes.get(at..at + 4) {
        Some(four) => Ok(u32::from_ne_bytes([four[0], four[1], four[2], four[3]])),
        None => Err(Error::from(ErrorKind::InvalidData)),
    }
}

/// What `/etc/resolv.conf` has: the gateway alone.
pub fn resolver_text(network: &GuestNetwork) -> String {
    network
        .addresses
        .iter()
        .map(|one| format!("nameserver {}\n", text_of(&one.gateway)))
        .collect()
}

/// The gateway's lines of `/etc/hosts`.
pub fn host_lines(network: &GuestNetwork) -> String {
    network
        .addresses
        .iter()
        .map(|one| format!("{}\thost.microsandbox.internal\n", text_of(&one.gateway)))
        .collect()
}

fn text_of(address: &[u8]) -> String {
    if let Ok(four) = <[u8; 4]>::try_from(address) {
        return std::net::Ipv4Addr::from(four).to_string();
    }
    <[u8; 16]>::try_from(address)
        .map(|sixteen| std::net::Ipv6Addr::from(sixteen).to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    fn network() -> GuestNetwork {
        let mut gateway = vec![0xfd, 0x42, 0x6d, 0x73, 0, 0x62];
        gateway.resize(15, 0);
        gateway.push(1);
        GuestNetwork {
            mac: vec![2, 0x6d, 0x73, 0, 0, 2],
            mtu: 65520,
            addresses: vec![
                GuestAddress {
                    address: vec![172, 16, 0, 2],
                    prefix: 30,
                    gateway: vec![172, 16, 0, 1],
                },
                GuestAddress {
                    address: gateway.clone(),
                    prefix: 64,
                    gateway,
                },
            ],
        }
    }

    #[test]
    fn a_request_has_its_length_and_is_padded() {
        let mut requests = Requests::default();
        requests.begin(RTM_NEWLINK, 0);
        requests.attribute(IFLA_ADDRESS, &[1, 2, 3, 4, 5, 6]);
        requests.end();
        assert_eq!(requests.bytes.len(), 16 + 4 + 8);
        assert_eq!(number(&requests.bytes, 0).unwrap(), 28);
        assert_eq!(&requests.bytes[16..20], &[10, 0, 1, 0]);
    }

    #[test]
    fn what_the_kernel_refuses_is_told_by_its_number() {
        let mut answer = Vec::new();
        answer.extend_from_slice(&20_u32.to_ne_bytes());
        answer.extend_from_slice(&NLMSG_ERROR.to_ne_bytes());
        answer.extend_from_slice(&[0; 10]);
        answer.extend_from_slice(&0_i32.to_ne_bytes());
        let mut answers = Answers::default();
        answers.read(&answer).unwrap();
        assert_eq!(answers.count, 1);
        answer[16..20].copy_from_slice(&(-sys::ENODEV).to_ne_bytes());
        assert_eq!(
            sys::errno_of(&answers.read(&answer).unwrap_err()),
            sys::ENODEV
        );
        for end in 1..answer.len() {
            assert!(answers.read(&answer[..end]).is_err());
        }
    }

    #[test]
    fn names_the_gateway_to_programs() {
        assert_eq!(
            resolver_text(&network()),
            "nameserver 172.16.0.1\nnameserver fd42:6d73:62::1\n"
        );
        assert!(host_lines(&network()).starts_with("172.16.0.1\thost.microsandbox.internal\n"));
    }
}
