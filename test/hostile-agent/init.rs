//! PID 1 of a guest that does not keep to the protocol: plays what `/play` holds on the agent's port.
//!
//! `/play` is a list of parts: u32 big-endian length, one byte that says how (below), two message tags, the bytes. A part waits
//! for a message with the first tag, unless that is 0; it is left out when one with the second tag comes before.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::raw::{c_char, c_int, c_long, c_ulong, c_void};
use std::os::unix::io::AsRawFd;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

extern "C" {
    fn mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
}

#[cfg(target_arch = "x86_64")]
const FINIT_MODULE: c_long = 313;
#[cfg(target_arch = "aarch64")]
const FINIT_MODULE: c_long = 273;

const MODULES: [&str; 4] = ["virtio_ring", "virtio", "virtio_mmio", "virtio_console"];
const RETRY: Duration = Duration::from_millis(5);
/// How a part is played, besides once: again and again; not at all, because PID 1 ends instead.
const FOREVER: u8 = 1;
const DIE: u8 = 2;
/// What comes before the bytes of a part.
const HEADER: usize = 7;

fn main() {
    mount_kind("devtmpfs", "/dev");
    mount_kind("sysfs", "/sys");
    let directory = fs::read_dir("/lib/modules")
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    for module in MODULES {
        load(&directory.join(format!("{module}.ko")));
    }
    let play = fs::read("/play").unwrap();
    let mut port = Port {
        file: open_port(),
        heard: Vec::new(),
    };
    let mut rest = &play[..];
    while rest.len() >= HEADER {
        let length = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
        let (how, after, unless) = (rest[4], rest[5], rest[6]);
        let bytes = &rest[HEADER..HEADER + length];
        rest = &rest[HEADER + length..];
        if after != 0 && !port.hears(after, unless) {
            continue;
        }
        if how == DIE {
            std::process::exit(1);
        }
        port.say(bytes);
        while how == FOREVER {
            if bytes.is_empty() {
                sleep(RETRY);
            }
            port.say(bytes);
        }
    }
    loop {
        port.read();
    }
}

fn mount_kind(kind: &str, target: &str) {
    let kind = CString::new(kind).unwrap();
    let target = CString::new(target).unwrap();
    // SAFETY: all pointers are to strings that live until the call returns.
    unsafe {
        mount(
            kind.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            0,
            std::ptr::null(),
        )
    };
}

fn load(path: &Path) {
    if let Ok(file) = File::open(path) {
        let parameters = CString::default();
        // SAFETY: the descriptor is open and the string lives until the call returns.
        unsafe {
            syscall(
                FINIT_MODULE,
                file.as_raw_fd(),
                parameters.as_ptr(),
                0 as c_int,
            )
        };
    }
}

fn open_port() -> File {
    loop {
        if let Some(file) =
            find_port().and_then(|path| OpenOptions::new().read(true).write(true).open(path).ok())
        {
            return file;
        }
        sleep(RETRY);
    }
}

fn find_port() -> Option<PathBuf> {
    for entry in fs::read_dir("/sys/class/virtio-ports").ok()?.flatten() {
        let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if name.trim_end() == "org.microsandbox.agent" {
            return Some(Path::new("/dev").join(entry.file_name()));
        }
    }
    None
}

struct Port {
    file: File,
    /// What the supervisor has sent and no part has waited for yet.
    heard: Vec<u8>,
}

impl Port {
    /// Waits for a message with one of two tags, and says whether it was the first. The second one is not used up.
    fn hears(&mut self, wanted: u8, other: u8) -> bool {
        loop {
            while let Some((length, tag)) = self.first_frame() {
                if tag == Some(other) && other != 0 {
                    return false;
                }
                self.heard.drain(..length);
                if tag == Some(wanted) {
                    return true;
                }
            }
            self.read();
        }
    }

    /// The first whole frame's length and, if it is a control message, its tag. See src/protocol/frame.ts.
    fn first_frame(&self) -> Option<(usize, Option<u8>)> {
        let length = self.heard.get(..4)?;
        let length = 4 + u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let frame = self.heard.get(..length)?;
        let is_control = frame[8] == 0;
        Some((length, frame.get(9).copied().filter(|_| is_control)))
    }

    fn say(&mut self, bytes: &[u8]) {
        while self.file.write_all(bytes).is_err() {
            sleep(RETRY);
        }
    }

    /// Waits for some bytes. Before the host's side is there, a read finds the end of the stream.
    fn read(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            match self.file.read(&mut buffer) {
                Ok(length) if length > 0 => {
                    self.heard.extend_from_slice(&buffer[..length]);
                    return;
                }
                _ => sleep(RETRY),
            }
        }
    }
}
