//! Carries the kernel's FUSE messages to the host and its answers back, in threads of its own: the agent must never wait for a
//! file system whose messages it has to pass on itself. Threads and no process, because nobody in the guest can kill them, and
//! what is mounted can be unmounted in order when everything else has ended.
//!
//! On the port each message has the number of its mount before it, a `u32`; FUSE messages begin with their own length
//! (linux/fuse.h, `fuse_in_header` and `fuse_out_header`). Nothing else of them is looked at here, but whether anybody waits for it.

mod abort;
mod notices;

use self::notices::Notices;
use crate::protocol::port::find_port;
use crate::sys::{self, locked, ENODEV};
use std::cell::Cell;
use std::ffi::CString;
use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::io::{AsRawFd, OwnedFd};
use std::sync::mpsc::{channel, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

const PORT_NAME: &str = "org.microsandbox.files";
/// Bytes of the number of the mount.
const PREFIX: usize = 4;
/// Bytes of `fuse_in_header`.
const REQUEST_HEADER: usize = 40;
/// Bytes of `fuse_out_header`.
const ANSWER_HEADER: usize = 16;
/// The largest message: 1 MiB of data and a page of what describes it. The kernel wants room for as much as it may write at once.
const MESSAGE: usize = (1 << 20) + 4096;
/// Requests are gathered until there are so many bytes of them, or no more: each write to the port wakes the host.
const BATCH: usize = 64 << 10;
/// Bytes; the threads' calls are shallow, and their buffers are elsewhere.
const STACK: usize = 128 << 10;
/// KiB that the kernel reads ahead in files that are read from the beginning: as much as one message holds.
const READ_AHEAD: &str = "1024";

type Devices = Arc<Mutex<Vec<Arc<OwnedFd>>>>;

/// The connection to whoever serves the host's files. It is made before a machine is saved as a template, with its threads: a
/// restored guest need not make them.
pub struct Relay {
    way: Way,
    devices: Devices,
    /// To the thread that waits for the first mount.
    first: Cell<Option<Sender<Mounted>>>,
}

/// How requests reach the host.
#[derive(Clone)]
struct Way {
    port: Arc<OwnedFd>,
    /// Who writes to the port writes whole messages.
    turn: Arc<Mutex<()>>,
    /// At its end when there will be no more answers.
    over: Arc<OwnedFd>,
}

/// A file system of the host's that the kernel has just been given.
struct Mounted {
    number: u32,
    device: Arc<OwnedFd>,
    target: String,
}

impl Relay {
    /// Opens the port and passes answers on from now on.
    pub fn start() -> Result<Relay> {
        let port = Arc::new(sys::open_waiting_device(&find_port(PORT_NAME)?)?);
        let devices = Devices::default();
        let (over, until) = sys::pipe()?;
        let (its_port, its_devices) = (port.clone(), devices.clone());
        let notices = Arc::new(Notices::default());
        let its_notices = notices.clone();
        let way = Way {
            port: port.clone(),
            turn: Arc::default(),
            over: Arc::new(over),
        };
        let its_way = way.clone();
        start_thread(move || {
            notices.carry(PREFIX, |mount| {
                if let Err(error) = its_way.send(&news_lost(mount)) {
                    eprintln!("agent: the host's files: {error}");
                }
            })
        })?;
        start_thread(move || {
            if let Err(error) = carry_answers(&its_port, &its_devices, &its_notices) {
                eprintln!("agent: the host's files: {error}");
            }
            its_notices.end();
            if let Err(error) = abort::abort_all() {
                eprintln!("agent: the end of the host's files: {error}");
            }
            // With the last descriptor of a device its mount is over, and whoever waits for an answer gets an error.
            locked(&its_devices).clear();
            drop(until);
        })?;
        let first = way.clone().start_carrier()?;
        Ok(Relay {
            way,
            devices,
            first: Cell::new(Some(first)),
        })
    }

    /// Mounts what the host serves next: it numbers its mounts in the order in which they are made here.
    ///
    /// `flags` are those of mount(2).
    pub fn mount(&self, target: &str, is_file: bool, flags: u64) -> Result<()> {
        let path = CString::new("/dev/fuse").unwrap_or_default();
        let device = Arc::new(sys::open_device(&path)?);
        let number = {
            let mut devices = locked(&self.devices);
            devices.push(device.clone());
            devices.len() as u32 - 1
        };
        let mode = if is_file { "100000" } else { "40000" };
        // Without default_permissions the host decides: whatever its user may do there, every user of the guest may.
        let options = format!(
            "fd={},rootmode={mode},user_id=0,group_id=0,allow_other,max_read=1048576",
            device.as_raw_fd()
        );
        sys::mount(abort::SOURCE, target, "fuse", flags, &options)?;
        let carrier = match self.first.take() {
            Some(first) => first,
            None => self.way.clone().start_carrier()?,
        };
        // Nobody waits for the host here: whoever uses the files first does.
        let mounted = Mounted {
            number,
            device,
            target: String::from(target),
        };
        carrier
            .send(mounted)
            .map_err(|_| Error::from(ErrorKind::BrokenPipe))
    }
}

impl Way {
    /// Writes whole messages.
    fn send(&self, messages: &[u8]) -> Result<()> {
        let _turn = locked(&self.turn);
        write_all(&self.port, messages)
    }

    /// Makes the thread that carries the requests of one mount, which it is told of.
    fn start_carrier(self) -> Result<Sender<Mounted>> {
        let (sender, mounts) = channel::<Mounted>();
        start_thread(move || {
            let mut buffer = vec![0; BATCH + PREFIX + MESSAGE];
            if let Ok(mounted) = mounts.recv() {
                if let Err(error) = carry_requests(&mounted, &self, &mut buffer) {
                    eprintln!("agent: the host's files: {error}");
                }
            }
        })?;
        Ok(sender)
    }
}

/// What the host is told when there was no room for what it has sent of a mount without being asked: a `fuse_in_header` with an
/// operation that no kernel has.
fn news_lost(mount: u32) -> [u8; PREFIX + REQUEST_HEADER] {
    let mut message = [0; PREFIX + REQUEST_HEADER];
    message[..PREFIX].copy_from_slice(&mount.to_le_bytes());
    message[PREFIX..PREFIX + 4].copy_from_slice(&(REQUEST_HEADER as u32).to_le_bytes());
    message
}

/// Tells the kernel how far to read ahead in the file system that was mounted last at `target`.
fn read_far_ahead(target: &str) {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if let Some(path) = read_ahead_path(&table, target) {
        let _ = fs::write(path, READ_AHEAD);
    }
}

/// Where the kernel is told how far to read ahead in the file system that was mounted last at `target` (proc(5), mountinfo: the third
/// field is the device's number, the fifth the target).
fn read_ahead_path(table: &str, target: &str) -> Option<String> {
    let line = table
        .lines()
        .rev()
        .find(|line| line.split(' ').nth(4) == Some(target))?;
    let device = line.split(' ').nth(2)?;
    Some(format!("/sys/class/bdi/{device}/read_ahead_kb"))
}

fn start_thread(work: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new()
        .name(String::from("files"))
        .stack_size(STACK)
        .spawn(work)
        .map(drop)
}

/// From the kernel to the host, until the file system is unmounted or `over` is at its end. Uses `buffer`, which has room for a batch and
/// one message more.
fn carry_requests(mounted: &Mounted, way: &Way, buffer: &mut [u8]) -> Result<()> {
    let number = mounted.number.to_le_bytes();
    let mut filled = 0;
    let mut requests = 0_u64;
    loop {
        let body = filled + PREFIX;
        match sys::read(&mounted.device, &mut buffer[body..]) {
            Ok(count) => {
                requests += 1;
                if requests == 2 {
                    // Until the host has answered the first one the kernel makes no other.
                    read_far_ahead(&mounted.target);
                }
                buffer[filled..body].copy_from_slice(&number);
                filled = body + count;
                if filled < BATCH {
                    continue;
                }
            }
            Err(error) if sys::errno_of(&error) == ENODEV => return Ok(()),
            // A request that was taken back before it was read.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if filled == 0 {
            if sys::poll_either(&mounted.device, &way.over)? {
                return Ok(());
            }
            continue;
        }
        way.send(&buffer[..filled])?;
        filled = 0;
    }
}

/// From the host to the kernel, which wants each answer whole.
fn carry_answers(port: &OwnedFd, devices: &Devices, notices: &Notices) -> Result<()> {
    let mut buffer = vec![0; PREFIX + MESSAGE];
    let mut filled = 0;
    loop {
        let mut begin = 0;
        while let Some(message) = whole(&buffer[begin..filled])? {
            let number = u32::from_le_bytes([message[0], message[1], message[2], message[3]]);
            let device = locked(devices).get(number as usize).cloned();
            match device {
                Some(device) if answers_nothing(message) => notices.add(device, message),
                // Refused when nobody waits for it any more.
                Some(device) => drop(sys::write(&device, &message[PREFIX..])),
                None => {}
            }
            begin += message.len();
        }
        if begin > 0 {
            buffer.copy_within(begin..filled, 0);
            filled -= begin;
        }
        match sys::read(port, &mut buffer[filled..]) {
            Ok(0) => return Ok(()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether `fuse_out_header` names no request: it is a notification.
fn answers_nothing(message: &[u8]) -> bool {
    message[PREFIX + 8..PREFIX + ANSWER_HEADER] == [0; 8]
}

/// The first message with its prefix, if all of it is there.
fn whole(bytes: &[u8]) -> Result<Option<&[u8]>> {
    if bytes.len() < PREFIX + 4 {
        return Ok(None);
    }
    let length = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
    if !(ANSWER_HEADER..=MESSAGE).contains(&length) {
        let what = format!("a message of {length} bytes");
        return Err(Error::new(ErrorKind::InvalidData, what));
    }
    Ok(bytes.get(..PREFIX + length))
}

fn write_all(port: &OwnedFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match sys::write(port, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_what_comes_into_messages() {
        let mut bytes = Vec::new();
        for length in [16_u32, 20] {
            bytes.extend_from_slice(&7_u32.to_le_bytes());
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.resize(bytes.len() + length as usize - 4, 0);
        }
        for cut in 0..20 {
            assert!(whole(&bytes[..cut]).unwrap().is_none());
        }
        assert_eq!(whole(&bytes).unwrap().unwrap().len(), 20);
        assert_eq!(whole(&bytes[20..]).unwrap().unwrap().len(), 24);
        for length in [0_u32, 15, MESSAGE as u32 + 1, u32::MAX] {
            bytes[4..8].copy_from_slice(&length.to_le_bytes());
            assert!(whole(&bytes).is_err());
        }
    }

    #[test]
    fn finds_the_mount_that_was_made_last() {
        let table = "20 1 0:5 / /work rw - tmpfs a rw\n21 1 0:41 / /work rw - fuse host rw\n22 1 0:6 / /x rw - tmpfs a rw\n";
        let found = read_ahead_path(table, "/work");
        assert_eq!(found.as_deref(), Some("/sys/class/bdi/0:41/read_ahead_kb"));
        assert_eq!(read_ahead_path(table, "/y"), None);
    }

    #[test]
    fn carries_requests_as_they_come_with_the_number_of_their_mount() {
        let (device, kernel) = sys::pipe().unwrap();
        let (host, port) = sys::pipe().unwrap();
        sys::set_nonblocking(&device).unwrap();
        let (over, until) = sys::pipe().unwrap();
        sys::write(&kernel, b"request").unwrap();
        let way = Way {
            port: Arc::new(port),
            turn: Arc::default(),
            over: Arc::new(over),
        };
        let mounted = Mounted {
            number: 3,
            device: Arc::new(device),
            target: String::new(),
        };
        let carrier =
            thread::spawn(move || carry_requests(&mounted, &way, &mut vec![0; BATCH + MESSAGE]));
        let mut buffer = [0; 64];
        assert_eq!(sys::read(&host, &mut buffer).unwrap(), 11);
        assert_eq!(&buffer[..11], b"\x03\0\0\0request");
        drop(until);
        carrier.join().unwrap().unwrap();
        // Nothing holds the port any more.
        assert_eq!(sys::read(&host, &mut buffer).unwrap(), 0);
    }

    #[test]
    fn no_answer_waits_for_what_nobody_asked_for() {
        // One of the two takes nothing more, as a kernel whose locks are held by whoever waits for the other's answer.
        let (unread, full) = sys::pipe().unwrap();
        // As much as a pipe holds (pipe(7)).
        assert_eq!(sys::write(&full, &[0; 65536]).unwrap(), 65536);
        let (answered, device) = sys::pipe().unwrap();
        let devices: Devices = Arc::new(Mutex::new(vec![Arc::new(full), Arc::new(device)]));
        let (port, host) = sys::pipe().unwrap();
        let notices = Arc::new(Notices::default());
        let its = notices.clone();
        let notifier = thread::spawn(move || its.carry(PREFIX, |_| ()));
        let its = notices.clone();
        let carrier = thread::spawn(move || carry_answers(&port, &devices, &its));
        for (mount, unique) in [(0_u32, 0_u64), (0, 0), (1, 7)] {
            let mut message = mount.to_le_bytes().to_vec();
            message.extend_from_slice(&20_u32.to_le_bytes());
            message.extend_from_slice(&3_u32.to_le_bytes());
            message.extend_from_slice(&unique.to_le_bytes());
            message.extend_from_slice(b"text");
            sys::write(&host, &message).unwrap();
        }
        let mut buffer = [0; 64];
        assert_eq!(sys::read(&answered, &mut buffer).unwrap(), 20);
        assert_eq!(&buffer[8..20], b"\x07\0\0\0\0\0\0\0text");
        drop(host);
        carrier.join().unwrap().unwrap();
        notices.end();
        drop(unread);
        notifier.join().unwrap();
    }
}
