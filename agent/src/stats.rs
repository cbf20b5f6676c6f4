//! How much memory and disk the guest has left.

use crate::generated::messages::Stats;
use crate::sys;
use std::fs;

/// Measures now. What cannot be read is 0.
pub fn measure() -> Stats {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let (root_total, root_free) = sys::file_system("/")
        .map(|root| (root.total_bytes, root.free_bytes))
        .unwrap_or_default();
    Stats {
        memory_total: field(&meminfo, "MemTotal:"),
        memory_available: field(&meminfo, "MemAvailable:"),
        root_total,
        root_free,
    }
}

/// How many processes the kernel has killed because memory ran out, since it booted; 0 where it does not count them.
pub fn oom_kills() -> u64 {
    let vmstat = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    vmstat
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "))
        .and_then(|value| value.parse().ok())
        .unwrap_or(0)
}

/// A field of proc(5)'s meminfo in bytes; the file counts in KiB.
fn field(meminfo: &str, name: &str) -> u64 {
    meminfo
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|value| value.parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fields_in_bytes() {
        let text = "MemTotal:         497160 kB\nMemFree:  1 kB\nMemAvailable:     2 kB\n";
        assert_eq!(field(text, "MemTotal:"), 497_160 * 1024);
        assert_eq!(field(text, "MemAvailable:"), 2048);
        assert_eq!(field(text, "Missing:"), 0);
    }

    #[test]
    fn measures_this_machine() {
        let stats = measure();
        assert!(stats.memory_total > stats.memory_available && stats.memory_available > 0);
        assert!(stats.root_total >= stats.root_free && stats.root_total > 0);
    }
}
