//! Holds every process of the guest but the agent, so that none runs while the guest is copied, nor in the copy before somebody has taken
//! it over. The freezer of cgroup v2 does it (Documentation/admin-guide/cgroup-v2.rst, `cgroup.freeze`): no process
//! can tell that it was held, as one can that was stopped with a signal.

use crate::sys::ENODEV;
use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const ROOT: &str = "/sys/fs/cgroup";
/// Where those are put that are in the root, which cannot be frozen.
const GROUP: &str = "/sys/fs/cgroup/msb-processes";
const PROCESSES: &str = "cgroup.procs";
const FREEZE: &str = "cgroup.freeze";
/// `PF_KTHREAD` of the kernel's include/linux/sched.h, in the ninth field of /proc/PID/stat.
const KERNEL_THREAD: u64 = 0x0020_0000;
/// A process that waits for a device cannot be frozen before that has answered.
const FREEZE_TIME: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_micros(200);

/// The groups that were frozen here. One that the guest had frozen by itself stays so.
pub struct Frozen {
    groups: Vec<PathBuf>,
}

impl Frozen {
    /// Lets all of them go on.
    pub fn thaw(&mut self) {
        for group in self.groups.drain(..) {
            if let Err(error) = unless_gone(fs::write(group.join(FREEZE), "0")) {
                eprintln!("agent: cannot thaw {}: {error}", group.display());
            }
        }
    }

    /// Freezes a group of the guest's, unless it is frozen. Returns whether it was not.
    fn hold(&mut self, group: PathBuf) -> Result<bool> {
        let is_held = match unless_gone(fs::read_to_string(group.join(FREEZE)))? {
            Some(text) => text.trim_end() == "1",
            None => true,
        };
        if is_held || unless_gone(fs::write(group.join(FREEZE), "1"))?.is_none() {
            return Ok(false);
        }
        if !self.groups.contains(&group) {
            self.groups.push(group);
        }
        Ok(true)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.thaw();
    }
}

/// Freezes all processes, those that they have begun meanwhile too. Those that cannot be frozen in time go on, and so do all others.
pub fn freeze() -> Result<Frozen> {
    let deadline = Instant::now() + FREEZE_TIME;
    match fs::create_dir(GROUP) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // It is the agent's own, and those that are put there are to go on, whoever froze it.
    let mut frozen = Frozen {
        groups: vec![PathBuf::from(GROUP)],
    };
    fs::write(Path::new(GROUP).join(FREEZE), "1")?;
    loop {
        for group in groups()? {
            frozen.hold(group)?;
        }
        // What is put there stands still, and begins no others.
        while gather()? > 0 {
            wait(deadline)?;
        }
        for group in groups()? {
            while !is_frozen(&group)? {
                wait(deadline)?;
            }
        }
        // Until then they could run to another group, or make one.
        let mut ran = gather()? > 0;
        for group in groups()? {
            ran |= frozen.hold(group)?;
        }
        if !ran {
            return Ok(frozen);
        }
        wait(deadline)?;
    }
}

/// Those below the root, as far as they can be frozen: with each goes what is below it.
fn groups() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(ROOT)? {
        let group = entry?.path();
        if group.join(FREEZE).exists() {
            found.push(group);
        }
    }
    Ok(found)
}

/// A group can be removed at any moment when nothing is in it. None: it was.
fn unless_gone<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(ENODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

fn wait(deadline: Instant) -> Result<()> {
    if Instant::now() >= deadline {
        return Err(Error::new(
            ErrorKind::TimedOut,
            "some processes wait for a device",
        ));
    }
    std::thread::sleep(RETRY);
    Ok(())
}

/// Moves those that are in the root to the group. Returns how many there were.
fn gather() -> Result<usize> {
    let mut moved = 0;
    for pid in fs::read_to_string(Path::new(ROOT).join(PROCESSES))?.lines() {
        if pid == "1" || is_kernel_thread(pid) {
            continue;
        }
        moved += 1;
        // It may have ended by now; if not, it is still there when looked again.
        let _ = fs::write(Path::new(GROUP).join(PROCESSES), pid);
    }
    Ok(moved)
}

/// One that has ended, but nobody has taken leave of, counts as one: there is nothing of it to hold.
fn is_kernel_thread(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before it may have anything in it, but no later parenthesis.
    let fields: Vec<&str> = match stat.rsplit_once(") ") {
        Some((_, fields)) => fields.split(' ').collect(),
        None => return true,
    };
    let flags = fields.get(6).and_then(|flags| flags.parse::<u64>().ok());
    fields.first() == Some(&"Z") || flags.map_or(true, |flags| flags & KERNEL_THREAD != 0)
}

fn is_frozen(group: &Path) -> Result<bool> {
    let events = unless_gone(fs::read_to_string(group.join("cgroup.events")))?;
    // An empty group is never said to be frozen.
    Ok(events.map_or(true, |events| {
        events
            .lines()
            .any(|line| line == "frozen 1" || line == "populated 0")
    }))
}
