//! PID 1 of a guest that does not keep to the protocol: plays what `/play` holds on the agent's port.
//!
//! `/play` is a list of parts: u32 big-endian length, one byte (1: send it again and again, for ever), the bytes. Each part
//! but the first waits until the supervisor has sent something since the part before.

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
    let mut port = open_port();
    let mut rest = &play[..];
    let mut first = true;
    while rest.len() >= 5 {
        let length = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
        let forever = rest[4] == 1;
        let bytes = &rest[5..5 + length];
        if !first {
            hear(&mut port);
        }
        first = false;
        say(&mut port, bytes);
        while forever {
            say(&mut port, bytes);
        }
        rest = &rest[5 + length..];
    }
    loop {
        hear(&mut port);
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

fn say(port: &mut File, bytes: &[u8]) {
    while port.write_all(bytes).is_err() {
        sleep(RETRY);
    }
}

/// Waits for some bytes. Before the host's side is there, a read finds the end of the stream.
fn hear(port: &mut File) {
    let mut buffer = [0; 4096];
    while !matches!(port.read(&mut buffer), Ok(length) if length > 0) {
        sleep(RETRY);
    }
}
