//! A program for the guest that tells what no shell can: what the kernel gave this process, and what time it is.
//!
//! `probe`: one line of what must be another in every process: the bytes behind AT_RANDOM, getrandom(2), an address on the stack and
//! one of the program.
//! `probe clock`: for every line on standard input, the time of day and the time since the boot, in ns.

use std::ffi::c_void;
use std::io::{self, BufRead, Write};
use std::os::raw::{c_int, c_long, c_uint, c_ulong};

#[repr(C)]
#[derive(Default)]
struct Timespec {
    seconds: i64,
    nanoseconds: c_long,
}

extern "C" {
    fn getauxval(kind: c_ulong) -> c_ulong;
    fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize;
    fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int;
}

const AT_RANDOM: c_ulong = 25;
const CLOCK_REALTIME: c_int = 0;
const CLOCK_MONOTONIC: c_int = 1;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("clock") {
        let mut out = io::stdout();
        for _ in io::stdin().lock().lines() {
            writeln!(out, "{} {}", time(CLOCK_REALTIME), time(CLOCK_MONOTONIC)).unwrap();
            out.flush().unwrap();
        }
        return;
    }
    let mut random = [0u8; 16];
    // SAFETY: the buffer is as long as is said.
    let length = unsafe { getrandom(random.as_mut_ptr().cast(), random.len(), 0) };
    assert_eq!(length, 16);
    // SAFETY: the kernel puts 16 bytes there for every program (getauxval(3)).
    let given = unsafe { *(getauxval(AT_RANDOM) as *const [u8; 16]) };
    let on_stack = &random as *const _ as usize;
    println!(
        "{} {} {:x} {:x}",
        hex(&given),
        hex(&random),
        on_stack,
        main as fn() as usize
    );
}

fn time(clock: c_int) -> i64 {
    let mut time = Timespec::default();
    // SAFETY: the pointer is to a value that lives until the call returns.
    assert_eq!(unsafe { clock_gettime(clock, &mut time) }, 0);
    time.seconds * 1_000_000_000 + time.nanoseconds
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
