//! Starting a command: everything that can be prepared is prepared in the agent, then a child takes a few system calls
//! to become the program. The agent waits that long, and knows then whether it worked.

use crate::commands::lookup::{self, Search};
use crate::commands::script;
use crate::commands::users::{self, Identity};
use crate::generated::messages::{Exec, ExecFailed, ResourceLimit, SpawnStage, StdinMode};
use crate::sys::{self, StringArray, EINVAL};
use std::ffi::CString;
use std::io::{Error, Result};
use std::os::unix::io::{AsRawFd, OwnedFd, RawFd};

/// Soft and hard limit of open files that a command starts with: 1024 is what programs that use select(2) survive, the
/// rest may raise theirs. The agent's own limit is higher, since it holds descriptors of every command.
const OPEN_FILES: (u64, u64) = (1024, 524_288);

/// A command whose program has started.
pub struct Spawned {
    pub pid: i32,
    pub channels: Channels,
}

/// The agent's ends of a command's standard streams; all non-blocking.
pub enum Channels {
    Terminal {
        master: OwnedFd,
        /// Kept so that the terminal does not end while the command lives but has it closed.
        slave: OwnedFd,
    },
    Pipes {
        stdin: Option<OwnedFd>,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
}

/// Starts a command. `defaults` are variables that it has unless it says otherwise, as `NAME=value`. `null` is an open /dev/null.
pub fn spawn(
    exec: &Exec,
    defaults: &[String],
    null: &OwnedFd,
) -> std::result::Result<Spawned, ExecFailed> {
    let at = |stage| move |error: Error| failure(stage, &error);
    let identity = identify(&exec.user)?;
    let mut plan = plan(exec, defaults, &identity).map_err(at(SpawnStage::Request))?;
    let channels = if exec.tty {
        open_terminal(exec, identity.uid, &mut plan).map_err(at(SpawnStage::Pty))?
    } else {
        open_pipes(exec, identity.uid, null, &mut plan).map_err(at(SpawnStage::Pipe))?
    };
    let mut failed = None;
    let pid = sys::start_child(&mut || failed = Some(run_child(&plan, &identity)))
        .map_err(at(SpawnStage::Fork))?;
    match failed {
        None => Ok(Spawned { pid, channels }),
        Some((stage, errno)) => Err(explained(stage, errno, &plan)),
    }
}

/// Looks closer where the system's words mislead.
fn explained(stage: SpawnStage, errno: i32, plan: &Plan) -> ExecFailed {
    let candidates = plan.candidates.iter().filter_map(|path| path.to_str().ok());
    let directory = plan.directory.to_str().unwrap_or("/");
    let told = match stage {
        SpawnStage::Exec => script::trouble(errno, directory, candidates),
        _ => None,
    };
    match told {
        None => failure(stage, &Error::from_raw_os_error(errno)),
        Some(message) => ExecFailed {
            stage: SpawnStage::Interpreter,
            errno,
            message,
        },
    }
}

fn failure(stage: SpawnStage, error: &Error) -> ExecFailed {
    ExecFailed {
        stage,
        errno: sys::errno_of(error),
        message: sys::words_of(error),
    }
}

fn identify(user: &str) -> std::result::Result<Identity, ExecFailed> {
    let database = |path| {
        users::read_database(path).map_err(|error| ExecFailed {
            stage: SpawnStage::User,
            errno: sys::errno_of(&error),
            message: format!("{path}: {error}"),
        })
    };
    users::resolve(user, &database(users::PASSWD)?, &database(users::GROUP)?).map_err(|message| {
        ExecFailed {
            stage: SpawnStage::User,
            errno: 0,
            message,
        }
    })
}

/// What the child needs, in the form in which system calls take it.
struct Plan {
    candidates: Vec<CString>,
    argv: StringArray,
    envp: StringArray,
    directory: CString,
    limits: Vec<ResourceLimit>,
    /// Standard input, output and error.
    streams: [RawFd; 3],
    terminal: bool,
    /// Closed in the agent once the child has its copies.
    _child_ends: Vec<OwnedFd>,
}

fn plan(exec: &Exec, defaults: &[String], identity: &Identity) -> Result<Plan> {
    let program = exec
        .argv
        .first()
        .ok_or_else(|| Error::from_raw_os_error(EINVAL))?;
    let directory = match exec.cwd.as_str() {
        "" => "/",
        cwd => cwd,
    };
    Ok(Plan {
        candidates: c_strings(lookup::candidates(program, &exec.env))?,
        argv: StringArray::new(c_strings(exec.argv.clone())?),
        envp: StringArray::new(c_strings(environment(exec, defaults, identity))?),
        directory: c_strings(vec![String::from(directory)])?.remove(0),
        limits: exec.rlimits.clone(),
        streams: [-1; 3],
        terminal: exec.tty,
        _child_ends: Vec::new(),
    })
}

fn c_strings(strings: Vec<String>) -> Result<Vec<CString>> {
    strings
        .into_iter()
        .map(|text| CString::new(text).map_err(|_| Error::from_raw_os_error(EINVAL)))
        .collect()
}

/// The environment as given, with what a program cannot do without.
fn environment(exec: &Exec, defaults: &[String], identity: &Identity) -> Vec<String> {
    let mut env = exec.env.clone();
    for entry in defaults {
        let name = entry.split('=').next().unwrap_or(entry);
        if lookup::variable(&env, name).is_none() {
            env.push(entry.clone());
        }
    }
    if lookup::variable(&env, "HOME").is_none() {
        env.push(format!("HOME={}", identity.home));
    }
    if exec.tty && lookup::variable(&env, "TERM").is_none() {
        env.push(String::from("TERM=xterm"));
    }
    env
}

fn open_terminal(exec: &Exec, uid: u32, plan: &mut Plan) -> Result<Channels> {
    let (master, slave) = sys::open_terminal(exec.rows, exec.cols)?;
    // The user may open it again, by /dev/tty's real name.
    sys::set_file_owner(&slave, Some(uid), None)?;
    plan.streams = [slave.as_raw_fd(); 3];
    Ok(Channels::Terminal { master, slave })
}

fn open_pipes(exec: &Exec, uid: u32, null: &OwnedFd, plan: &mut Plan) -> Result<Channels> {
    let stdin = match exec.stdin {
        StdinMode::Null => {
            plan.streams[0] = null.as_raw_fd();
            None
        }
        StdinMode::Pipe => {
            let (child, ours) = sys::pipe()?;
            Some(keep(child, ours, 0, uid, plan)?)
        }
    };
    let (ours, child) = sys::pipe()?;
    let stdout = keep(child, ours, 1, uid, plan)?;
    let (ours, child) = sys::pipe()?;
    let stderr = keep(child, ours, 2, uid, plan)?;
    Ok(Channels::Pipes {
        stdin,
        stdout,
        stderr,
    })
}

/// Gives the child its end of a pipe and makes ours non-blocking.
fn keep(child: OwnedFd, ours: OwnedFd, at: usize, uid: u32, plan: &mut Plan) -> Result<OwnedFd> {
    sys::set_nonblocking(&ours)?;
    if uid != 0 {
        // Opening /dev/stdout means opening the pipe again, which only its owner may.
        sys::set_file_owner(&child, Some(uid), None)?;
    }
    plan.streams[at] = child.as_raw_fd();
    plan._child_ends.push(child);
    Ok(ours)
}

/// Runs in the child, in the agent's memory: system calls only. Returns only when the program could not be started.
fn run_child(plan: &Plan, identity: &Identity) -> (SpawnStage, i32) {
    match prepare(plan, identity) {
        Ok(()) => (SpawnStage::Exec, execute(plan)),
        Err((stage, error)) => (stage, sys::errno_of(&error)),
    }
}

fn prepare(plan: &Plan, identity: &Identity) -> std::result::Result<(), (SpawnStage, Error)> {
    let at = |stage| move |error| (stage, error);
    sys::reset_signals();
    sys::new_session().map_err(at(SpawnStage::Fork))?;
    if plan.terminal {
        sys::take_terminal(plan.streams[0]).map_err(at(SpawnStage::Pty))?;
    }
    for (number, stream) in plan.streams.iter().enumerate() {
        sys::copy_fd(*stream, number as RawFd).map_err(at(SpawnStage::Pipe))?;
    }
    let (soft, hard) = OPEN_FILES;
    sys::set_open_files_limit(soft, hard).map_err(at(SpawnStage::Rlimit))?;
    for limit in &plan.limits {
        sys::set_limit(limit.resource.into(), limit.soft, limit.hard)
            .map_err(at(SpawnStage::Rlimit))?;
    }
    sys::set_umask(0o022);
    sys::become_user(identity.uid, identity.gid, &identity.groups)
        .map_err(at(SpawnStage::Groups))?;
    sys::change_directory(&plan.directory).map_err(at(SpawnStage::Cwd))
}

/// Tries the candidates; returns the errno to report when none became the program.
fn execute(plan: &Plan) -> i32 {
    let mut search = Search::new(plan.candidates.len());
    for path in &plan.candidates {
        let errno = sys::execve(path, &plan.argv, &plan.envp);
        if let Some(errno) = search.failed(errno) {
            return errno;
        }
    }
    search.result()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(env: &[&str], tty: bool) -> Exec {
        Exec {
            argv: vec![String::from("true")],
            env: env.iter().map(|entry| String::from(*entry)).collect(),
            cwd: String::new(),
            user: String::new(),
            tty,
            rows: 24,
            cols: 80,
            stdin: StdinMode::Null,
            rlimits: Vec::new(),
        }
    }

    fn identity() -> Identity {
        users::resolve("", "root:x:0:0::/root:/bin/sh", "").unwrap()
    }

    #[test]
    fn adds_only_what_is_missing_to_the_environment() {
        assert_eq!(
            environment(&exec(&["A=1"], false), &[], &identity()),
            ["A=1", "HOME=/root"]
        );
        assert_eq!(
            environment(&exec(&["HOME=/x", "TERM=dumb"], true), &[], &identity()),
            ["HOME=/x", "TERM=dumb"]
        );
        assert_eq!(
            environment(&exec(&["HOME="], true), &[], &identity()),
            ["HOME=", "TERM=xterm"]
        );
        let defaults = ["A=default", "AB=default", "C="].map(String::from);
        assert_eq!(
            environment(&exec(&["AB=", "HOME=/x"], false), &defaults, &identity()),
            ["AB=", "HOME=/x", "A=default", "C="]
        );
    }

    #[test]
    fn refuses_an_empty_command_and_inner_nul_bytes() {
        let mut none = exec(&[], false);
        none.argv.clear();
        let mut inner = exec(&[], false);
        inner.argv.push(String::from("a\0b"));
        for exec in [none, inner, exec(&["A=\0"], false)] {
            let error = plan(&exec, &[], &identity()).err().unwrap();
            assert_eq!(error.raw_os_error(), Some(EINVAL));
        }
    }
}
