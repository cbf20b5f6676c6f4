//! A signal for the programs of a guest that want to know that they are in a copy.

use crate::sys;
use std::fs;
use std::io::Result;

/// In /proc/PID/status: the signals that a process has handlers for, as a hexadecimal mask (proc(5)).
const CAUGHT: &str = "SigCgt:";

/// Sends a signal to every process that has a handler for it: it would end the others. Those that are frozen get it when they go on.
pub fn all(signal: i32) -> Result<()> {
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = match name.to_str().and_then(|name| name.parse::<i32>().ok()) {
            Some(pid) => pid,
            None => continue,
        };
        // The first is the agent. One that has ended meanwhile needs none.
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        if pid != 1 && catches(&status, signal) {
            let _ = sys::send_signal(pid, signal);
        }
    }
    Ok(())
}

fn catches(status: &str, signal: i32) -> bool {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix(CAUGHT))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    (1..=64).contains(&signal) && mask & (1 << (signal - 1)) != 0
}

#[cfg(test)]
mod tests {
    use super::catches;

    #[test]
    fn only_what_has_a_handler() {
        let status = "Name:\tsh\nSigIgn:\t0000000000000006\nSigCgt:\t0000000000010002\n";
        assert!(catches(status, 2));
        assert!(catches(status, 17));
        assert!(!catches(status, 3));
        assert!(!catches(status, 0));
        assert!(!catches(status, 65));
        assert!(!catches("Name:\tsh\n", 2));
    }
}
