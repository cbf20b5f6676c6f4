//! The kernel of this host as a guest: a TAP in a network namespace, whose frames go over a socket as QEMU's do (`-netdev stream`: a
//! length of 4 bytes in network order before each).
//!
//! Usage: unshare --map-root-user --net cable FD MTU MAC. Prints "ready", and ends with the socket.
use std::env;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, exit};
use std::thread;

/// Larger than any frame, with its length.
const ROOM: usize = 70_000;
/// What one read of the socket takes, as the gateway's reads do.
const READ: usize = 256 * 1024;

unsafe extern "C" {
    fn ioctl(descriptor: i32, request: u64, ...) -> i32;
}

/// tun(4): TUNSETIFF with IFF_TAP | IFF_NO_PI.
fn open_tap() -> File {
    let tap = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .expect("/dev/net/tun");
    let mut request = [0u8; 40];
    request[..4].copy_from_slice(b"eth0");
    request[16..18].copy_from_slice(&0x1002u16.to_ne_bytes());
    assert_eq!(
        unsafe { ioctl(tap.as_raw_fd(), 0x4004_54ca, request.as_mut_ptr()) },
        0,
        "TUNSETIFF"
    );
    tap
}

fn set_up(mtu: &str, mac: &str) {
    for line in [
        "ip link set lo up".to_string(),
        // The kernel drops what the TAP's queue does not hold, and a thousand connections that end at once are more than its 1,000
        // frames. QEMU's card has the guest wait instead. A SYN among them would be sent again only after a second.
        format!("ip link set eth0 address {mac} mtu {mtu} txqueuelen 10000 up"),
        "ip addr add 172.16.0.2/30 dev eth0".to_string(),
        "ip route add default via 172.16.0.1".to_string(),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        assert!(
            Command::new(words[0])
                .args(&words[1..])
                .status()
                .expect("ip")
                .success(),
            "{line}"
        );
    }
}

fn to_gateway(mut tap: File, mut socket: UnixStream) {
    let mut bytes = vec![0; ROOM];
    loop {
        let length = tap.read(&mut bytes[4..]).expect("read of the TAP");
        bytes[..4].copy_from_slice(&(length as u32).to_be_bytes());
        if socket.write_all(&bytes[..4 + length]).is_err() {
            exit(0);
        }
    }
}

fn to_kernel(mut tap: File, mut socket: UnixStream) {
    let mut bytes = vec![0; ROOM + READ];
    let mut end = 0;
    loop {
        match socket.read(&mut bytes[end..]) {
            Ok(0) | Err(_) => exit(0),
            Ok(count) => end += count,
        }
        let mut at = 0;
        while end - at >= 4 {
            let length =
                u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes")) as usize;
            if end - at - 4 < length {
                break;
            }
            tap.write_all(&bytes[at + 4..at + 4 + length])
                .expect("write to the TAP");
            at += 4 + length;
        }
        bytes.copy_within(at..end, 0);
        end -= at;
    }
}

fn main() {
    let words: Vec<String> = env::args().collect();
    let tap = open_tap();
    set_up(&words[2], &words[3]);
    let socket = unsafe { UnixStream::from_raw_fd(words[1].parse().expect("a descriptor")) };
    // Node makes its end and ours non-blocking.
    socket.set_nonblocking(false).expect("blocking");
    let (other_tap, other_socket) = (
        tap.try_clone().expect("dup"),
        socket.try_clone().expect("dup"),
    );
    thread::spawn(move || to_gateway(other_tap, other_socket));
    println!("ready");
    to_kernel(tap, socket);
}
