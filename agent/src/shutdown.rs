//! The orderly end: the stop signal to everything, a grace, SIGKILL, clean disks, power off.
//!
//! The signal is SIGTERM unless the sandbox or its image wants another one. Then what takes that one as a wish to go has
//! half of the grace for it, and what ignores it gets SIGTERM after that: shells start background jobs with SIGINT and
//! SIGQUIT ignored, and SIGWINCH, which some web servers want, ends nothing else.

use crate::root::Root;
use crate::sys::{self, SIGCONT, SIGKILL, SIGTERM};
use std::fs;
use std::os::unix::io::AsRawFd;
use std::time::{Duration, Instant};

/// What a shutdown asked for inside the guest (`poweroff`, `halt`, `reboot`) gives to the processes.
pub const INSIDE_GRACE: Duration = Duration::from_secs(5);
/// How long killed processes may take to be gone; one that waits for a device may take for ever.
const KILL_TIME: Duration = Duration::from_secs(2);
/// SIGKILL is repeated this often, since a process forked during the sending can be missed.
const KILL_INTERVAL: Duration = Duration::from_millis(20);
/// How long the supervisor may take to accept what the last commands wrote.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// File systems that live in memory or belong to the kernel: nothing in them could be lost.
const MEMORY_ONLY: &[&str] = &[
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "tmpfs",
    "rootfs",
    "ramfs",
    "cgroup",
    "cgroup2",
    "mqueue",
    "bpf",
    "debugfs",
    "tracefs",
    "securityfs",
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Terminating,
    Killing,
    /// No process is left and the disks are clean; outputs are on their way.
    Draining,
}

pub struct Shutdown {
    /// Where to say that it is done: to everyone who has asked for it.
    pub streams: Vec<u32>,
    phase: Phase,
    /// When the phase is over at the latest.
    deadline: Instant,
    /// When those get SIGTERM that another signal did not end.
    terminate_at: Option<Instant>,
}

/// What the event loop knows about the state of things.
pub struct Remaining {
    pub processes: bool,
    pub commands: bool,
}

impl Shutdown {
    pub fn begin(stream: Option<u32>, grace: Duration, signal: i32) -> Shutdown {
        ask_all(signal);
        let now = Instant::now();
        Shutdown {
            streams: stream.into_iter().collect(),
            phase: Phase::Terminating,
            deadline: now + grace,
            terminate_at: (signal != SIGTERM).then(|| now + grace / 2),
        }
    }

    /// A second request may only bring the end nearer.
    pub fn hurry(&mut self, stream: Option<u32>, grace: Duration) {
        self.streams.extend(stream);
        if self.phase == Phase::Terminating {
            let now = Instant::now();
            self.deadline = self.deadline.min(now + grace);
            self.terminate_at = self.terminate_at.map(|at| at.min(now + grace / 2));
        }
    }

    /// Goes as far as possible now. Returns how long to wait for events before the next step, or nothing when all that
    /// can be waited for is over.
    ///
    /// `release` is called once, as soon as no process is left to write: data must not wait for a supervisor that takes
    /// its time with the output.
    pub fn step(&mut self, remaining: &Remaining, release: impl FnOnce()) -> Option<Duration> {
        if self.phase != Phase::Draining && !remaining.processes {
            release();
            self.enter(Phase::Draining, Instant::now() + DRAIN_TIME);
        }
        let now = Instant::now();
        if self.phase == Phase::Terminating && now >= self.deadline {
            self.enter(Phase::Killing, now + KILL_TIME);
        }
        match self.phase {
            Phase::Terminating => {
                if self.terminate_at.map_or(false, |at| now >= at) {
                    self.terminate_at = None;
                    ask_all(SIGTERM);
                }
                Some(self.terminate_at.unwrap_or(self.deadline) - now)
            }
            Phase::Killing if now >= self.deadline => {
                eprintln!("agent: some processes do not end, not even by SIGKILL");
                None
            }
            Phase::Killing => {
                signal_all(SIGKILL);
                Some(KILL_INTERVAL)
            }
            Phase::Draining if !remaining.commands => None,
            Phase::Draining => self
                .deadline
                .checked_duration_since(now)
                .filter(|left| !left.is_zero()),
        }
    }

    fn enter(&mut self, phase: Phase, deadline: Instant) {
        self.phase = phase;
        self.deadline = deadline;
    }
}

fn ask_all(signal: i32) {
    signal_all(signal);
    // A stopped process would not see it.
    signal_all(SIGCONT);
}

fn signal_all(signal: i32) {
    // Fails only when there is no process to send it to.
    let _ = sys::send_signal(-1, signal);
}

/// Writes everything to the disks and leaves their file systems clean. Takes the root: without one nothing has run that
/// could have written, and a second call does nothing.
pub fn release_disks(root: &mut Option<Root>) {
    let root = match root.take() {
        Some(root) => root,
        None => return,
    };
    // All at once, so that each has begun before the first is waited for.
    sys::sync_disks();
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut clean = true;
    for mount in mounts(&table).iter().rev() {
        if mount.target == "/" || MEMORY_ONLY.contains(&mount.fs_type) {
            continue;
        }
        if sys::unmount(&mount.target).is_err() {
            clean &= remount_read_only(&mount.target);
        }
    }
    clean &= remount_read_only("/");
    // The overlay does not pass the change on to what it lies on. No path leads there, a descriptor does.
    if let Some(upper) = root.upper {
        clean &= remount_read_only(&format!("/proc/self/fd/{}", upper.as_raw_fd()));
    }
    // A file system that could not be left may have been written to since, and unmounting another one may write to it.
    if !clean {
        sys::sync_disks();
    }
}

/// Whether it worked. What was written before is on the disk then.
fn remount_read_only(target: &str) -> bool {
    let flags = sys::MOUNT_REMOUNT | sys::MOUNT_READ_ONLY;
    match sys::mount("", target, "", flags, "") {
        Ok(()) => true,
        Err(error) => {
            eprintln!("agent: cannot remount {target} read-only: {error}");
            false
        }
    }
}

#[derive(Debug, PartialEq)]
struct Mount<'a> {
    target: String,
    fs_type: &'a str,
}

/// Reads the lines of proc(5)'s mountinfo: target is the fifth field, the type comes after a lone hyphen.
fn mounts(table: &str) -> Vec<Mount<'_>> {
    table
        .lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            Some(Mount {
                target: unescape(left.split(' ').nth(4)?),
                fs_type: right.split(' ').next()?,
            })
        })
        .collect()
}

/// Space, tab, newline and backslash are written as a backslash and three octal digits.
fn unescape(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let code = rest
            .get(at + 1..at + 4)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let taken = match code {
            Some(code) => {
                text.push(char::from(code));
                4
            }
            None => {
                text.push('\\');
                1
            }
        };
        rest = &rest[at + taken..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_mount_table() {
        let table = "22 1 0:20 / / rw,relatime - overlay overlay rw,lowerdir=/lower\n\
            31 22 254:32 / /mnt/a\\040b\\134c rw shared:1 - ext4 /dev/vdc rw\n\
            garbage\n";
        let mounts = mounts(table);
        assert_eq!(mounts.len(), 2);
        assert_eq!(mounts[0].fs_type, "overlay");
        assert_eq!(mounts[1].target, "/mnt/a b\\c");
        assert_eq!(mounts[1].fs_type, "ext4");
    }

    #[test]
    fn a_lone_backslash_stays() {
        assert_eq!(unescape("a\\"), "a\\");
        assert_eq!(unescape("\\9é"), "\\9é");
    }

    fn at(phase: Phase, left: Duration) -> Shutdown {
        Shutdown {
            streams: vec![1],
            phase,
            deadline: Instant::now() + left,
            terminate_at: None,
        }
    }

    const LONG: Duration = Duration::from_secs(100);

    #[test]
    fn waits_for_processes_then_for_commands_then_ends() {
        let mut shutdown = at(Phase::Terminating, LONG);
        let mut remaining = Remaining {
            processes: true,
            commands: true,
        };
        assert!(shutdown.step(&remaining, || {}).unwrap() > DRAIN_TIME);
        remaining.processes = false;
        assert!(shutdown.step(&remaining, || {}).unwrap() <= DRAIN_TIME);
        remaining.commands = false;
        assert_eq!(shutdown.step(&remaining, || {}), None);
    }

    #[test]
    fn releases_the_disks_once_and_before_waiting_for_output() {
        let mut shutdown = at(Phase::Killing, LONG);
        let remaining = Remaining {
            processes: false,
            commands: true,
        };
        let mut released = 0;
        for _ in 0..3 {
            assert!(shutdown.step(&remaining, || released += 1).is_some());
        }
        assert_eq!(released, 1);
    }

    #[test]
    fn does_not_wait_for_ever_for_output() {
        let remaining = Remaining {
            processes: false,
            commands: true,
        };
        assert_eq!(
            at(Phase::Draining, Duration::ZERO).step(&remaining, || {}),
            None
        );
    }

    #[test]
    fn does_not_wait_for_ever_for_the_killed() {
        let remaining = Remaining {
            processes: true,
            commands: true,
        };
        assert_eq!(
            at(Phase::Killing, Duration::ZERO).step(&remaining, || {}),
            None
        );
    }

    #[test]
    fn another_signal_is_followed_by_sigterm_at_half_of_the_grace() {
        let remaining = Remaining {
            processes: true,
            commands: true,
        };
        let mut shutdown = at(Phase::Terminating, LONG);
        shutdown.terminate_at = Some(Instant::now() + LONG / 2);
        assert!(shutdown.step(&remaining, || {}).unwrap() <= LONG / 2);
        shutdown.hurry(Some(3), LONG / 10);
        let wait = shutdown.step(&remaining, || {}).unwrap();
        assert!(wait <= LONG / 20 && wait > LONG / 40);
    }

    #[test]
    fn a_second_request_only_shortens() {
        let mut shutdown = at(Phase::Terminating, Duration::from_secs(1));
        let deadline = shutdown.deadline;
        shutdown.hurry(Some(3), LONG);
        assert_eq!(
            (&shutdown.streams, shutdown.deadline),
            (&vec![1, 3], deadline)
        );
        shutdown.hurry(None, Duration::ZERO);
        assert!(shutdown.deadline < deadline);
    }
}
