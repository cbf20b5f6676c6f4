// Generated from src/protocol/schema/ by scripts/generate-protocol.ts. Change the schema, then run `npm run generate`.

//! The control messages of the hop between supervisor and agent.

#![allow(dead_code)]

use crate::protocol::wire::*;

/// Both ends of a hop must have the same one; compared in the first message each sends.
pub const PROTOCOL_VERSION: u32 = 6;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StdinMode {
    Null,
    Pipe,
}

impl StdinMode {
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        match reader.u8()? {
            0 => Ok(StdinMode::Null),
            1 => Ok(StdinMode::Pipe),
            _ => Err(WireError::BadEnum),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SpawnStage {
    Request,
    User,
    Pty,
    Pipe,
    Fork,
    Rlimit,
    Groups,
    Cwd,
    Exec,
    Interpreter,
}

impl SpawnStage {
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        match reader.u8()? {
            0 => Ok(SpawnStage::Request),
            1 => Ok(SpawnStage::User),
            2 => Ok(SpawnStage::Pty),
            3 => Ok(SpawnStage::Pipe),
            4 => Ok(SpawnStage::Fork),
            5 => Ok(SpawnStage::Rlimit),
            6 => Ok(SpawnStage::Groups),
            7 => Ok(SpawnStage::Cwd),
            8 => Ok(SpawnStage::Exec),
            9 => Ok(SpawnStage::Interpreter),
            _ => Err(WireError::BadEnum),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    pub name: String,
    pub content: Vec<u8>,
}

impl Script {
    fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.name);
        put_bytes(out, &self.content);
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Script {
            name: reader.str()?,
            content: reader.bytes()?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct GuestMount {
    pub path: String,
    pub read_only: bool,
    pub no_exec: bool,
    pub no_suid: bool,
    pub no_devices: bool,
    pub memory: Option<MemoryMount>,
    pub disk: Option<DiskMount>,
    pub files: Option<HostFiles>,
}

impl GuestMount {
    fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.path);
        put_bool(out, self.read_only);
        put_bool(out, self.no_exec);
        put_bool(out, self.no_suid);
        put_bool(out, self.no_devices);
        put_optional(out, &self.memory, |out, item| item.encode(out));
        put_optional(out, &self.disk, |out, item| item.encode(out));
        put_optional(out, &self.files, |out, item| item.encode(out));
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(GuestMount {
            path: reader.str()?,
            read_only: reader.bool()?,
            no_exec: reader.bool()?,
            no_suid: reader.bool()?,
            no_devices: reader.bool()?,
            memory: reader.optional(MemoryMount::decode)?,
            disk: reader.optional(DiskMount::decode)?,
            files: reader.optional(HostFiles::decode)?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct MemoryMount {
    pub size_mib: u32,
}

impl MemoryMount {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.size_mib);
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(MemoryMount {
            size_mib: reader.u32()?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct DiskMount {
    pub file_system: DiskFileSystem,
    pub fills: bool,
}

impl DiskMount {
    fn encode(&self, out: &mut Vec<u8>) {
        self.file_system.encode(out);
        put_bool(out, self.fills);
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(DiskMount {
            file_system: DiskFileSystem::decode(reader)?,
            fills: reader.bool()?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct HostFiles {
    pub is_file: bool,
}

impl HostFiles {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bool(out, self.is_file);
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(HostFiles {
            is_file: reader.bool()?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Root {
    pub layered: Option<LayeredRoot>,
    pub shared: Option<SharedRoot>,
    pub disk: Option<DiskFileSystem>,
}

impl Root {
    fn encode(&self, out: &mut Vec<u8>) {
        put_optional(out, &self.layered, |out, item| item.encode(out));
        put_optional(out, &self.shared, |out, item| item.encode(out));
        put_optional(out, &self.disk, |out, item| item.encode(out));
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Root {
            layered: reader.optional(LayeredRoot::decode)?,
            shared: reader.optional(SharedRoot::decode)?,
            disk: reader.optional(DiskFileSystem::decode)?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct LayeredRoot {
    pub lower: DiskFileSystem,
    pub upper_serial: Option<String>,
    pub upper_size_mib: u32,
}

impl LayeredRoot {
    fn encode(&self, out: &mut Vec<u8>) {
        self.lower.encode(out);
        put_optional(out, &self.upper_serial, |out, item| put_str(out, item));
        put_u32(out, self.upper_size_mib);
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(LayeredRoot {
            lower: DiskFileSystem::decode(reader)?,
            upper_serial: reader.optional(Reader::str)?,
            upper_size_mib: reader.u32()?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct SharedRoot {
    pub tag: String,
}

impl SharedRoot {
    fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.tag);
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(SharedRoot { tag: reader.str()? })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct DiskFileSystem {
    pub serial: String,
    pub fs_type: String,
}

impl DiskFileSystem {
    fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.serial);
        put_str(out, &self.fs_type);
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(DiskFileSystem {
            serial: reader.str()?,
            fs_type: reader.str()?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ResourceLimit {
    pub resource: u8,
    pub soft: u64,
    pub hard: u64,
}

impl ResourceLimit {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u8(out, self.resource);
        put_u64(out, self.soft);
        put_u64(out, self.hard);
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(ResourceLimit {
            resource: reader.u8()?,
            soft: reader.u64()?,
            hard: reader.u64()?,
        })
    }
}

/// The receiver of data on this stream can take so many bytes more, data and extra together. Credits add up, but never to more than was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Credit {
    pub bytes: u32,
}

impl Credit {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.bytes);
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Credit {
            bytes: reader.u32()?,
        })
    }
}

/// Aborts the stream. From the one who accepted it this is the last word. From the one who opened it, it is a wish: the other one answers with the last word, and what arrives before that is dropped. `code` is a MicrosandboxErrorCode; `details` is a JSON object: the error's own `fields`, its `log` and its `cause`.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub code: String,
    pub message: String,
    pub hint: String,
    pub details: String,
}

impl Failure {
    fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.code);
        put_str(out, &self.message);
        put_str(out, &self.hint);
        put_str(out, &self.details);
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Failure {
            code: reader.str()?,
            message: reader.str()?,
            hint: reader.str()?,
            details: reader.str()?,
        })
    }
}

/// The agent's first frame, once it can answer. Nothing is mounted yet.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentHello {
    pub protocol_version: u32,
    pub agent_version: String,
    pub kernel_release: String,
}

impl AgentHello {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.protocol_version);
        put_str(out, &self.agent_version);
        put_str(out, &self.kernel_release);
    }

    #[cfg(test)]
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(AgentHello {
            protocol_version: reader.u32()?,
            agent_version: reader.str()?,
            kernel_release: reader.str()?,
        })
    }
}

/// What no two guests may share, mixed into the kernel's pool before anything else (RNDADDENTROPY, RNDRESEEDCRNG). Sent first to every guest: one that was restored from a template has the random pool of all others.
#[derive(Clone, Debug, PartialEq)]
pub struct Seed {
    pub protocol_version: u32,
    pub entropy: Vec<u8>,
}

impl Seed {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.protocol_version);
        put_bytes(out, &self.entropy);
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Seed {
            protocol_version: reader.u32()?,
            entropy: reader.bytes()?,
        })
    }
}

/// The time of day, since 1970 in UTC, as it was when this message was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Clock {
    pub seconds: u64,
    pub nanoseconds: u32,
}

impl Clock {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u53(out, self.seconds);
        put_u32(out, self.nanoseconds);
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Clock {
            seconds: reader.u53()?,
            nanoseconds: reader.u32()?,
        })
    }
}

/// Makes the guest's root file system, and mounts the kernel's own in it. Answered by Mounted or BootFailed. A template of an image is saved after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mount {
    pub root: Root,
    pub tmp_size_mib: u32,
    pub programs: Vec<String>,
}

impl Mount {
    fn encode(&self, out: &mut Vec<u8>) {
        self.root.encode(out);
        put_u32(out, self.tmp_size_mib);
        put_list(out, &self.programs, |out, item| put_str(out, item));
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Mount {
            root: Root::decode(reader)?,
            tmp_size_mib: reader.u32()?,
            programs: reader.list(4, Reader::str)?,
        })
    }
}

/// Everything else that makes the guest this sandbox and no other. Comes after Seed and Mount; answered by Ready or BootFailed.
#[derive(Clone, Debug, PartialEq)]
pub struct Boot {
    pub hostname: String,
    pub workdir: String,
    pub mounts: Vec<GuestMount>,
    pub scripts: Vec<Script>,
}

impl Boot {
    fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.hostname);
        put_str(out, &self.workdir);
        put_list(out, &self.mounts, |out, item| item.encode(out));
        put_list(out, &self.scripts, |out, item| item.encode(out));
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Boot {
            hostname: reader.str()?,
            workdir: reader.str()?,
            mounts: reader.list(11, GuestMount::decode)?,
            scripts: reader.list(8, Script::decode)?,
        })
    }
}

/// The guest could not become the sandbox: the answer to a Seed, Mount or Boot that failed. `step` names what was tried; errno 0 when no system call failed.
#[derive(Clone, Debug, PartialEq)]
pub struct BootFailed {
    pub step: String,
    pub errno: i32,
    pub message: String,
}

impl BootFailed {
    fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.step);
        put_i32(out, self.errno);
        put_str(out, &self.message);
    }

    #[cfg(test)]
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(BootFailed {
            step: reader.str()?,
            errno: reader.i32()?,
            message: reader.str()?,
        })
    }
}

/// Starts a command. `env` is the whole environment as KEY=value.
#[derive(Clone, Debug, PartialEq)]
pub struct Exec {
    pub argv: Vec<String>,
    pub env: Vec<String>,
    pub cwd: String,
    pub user: String,
    pub tty: bool,
    pub rows: u16,
    pub cols: u16,
    pub stdin: StdinMode,
    pub rlimits: Vec<ResourceLimit>,
}

impl Exec {
    fn encode(&self, out: &mut Vec<u8>) {
        put_list(out, &self.argv, |out, item| put_str(out, item));
        put_list(out, &self.env, |out, item| put_str(out, item));
        put_str(out, &self.cwd);
        put_str(out, &self.user);
        put_bool(out, self.tty);
        put_u16(out, self.rows);
        put_u16(out, self.cols);
        put_u8(out, self.stdin as u8);
        put_list(out, &self.rlimits, |out, item| item.encode(out));
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Exec {
            argv: reader.list(4, Reader::str)?,
            env: reader.list(4, Reader::str)?,
            cwd: reader.str()?,
            user: reader.str()?,
            tty: reader.bool()?,
            rows: reader.u16()?,
            cols: reader.u16()?,
            stdin: StdinMode::decode(reader)?,
            rlimits: reader.list(17, ResourceLimit::decode)?,
        })
    }
}

/// The program image was replaced: execve succeeded. sessionId is 0 on the agent's hop.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecStarted {
    pub pid: u32,
    pub session_id: u32,
}

impl ExecStarted {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.pid);
        put_u32(out, self.session_id);
    }

    #[cfg(test)]
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(ExecStarted {
            pid: reader.u32()?,
            session_id: reader.u32()?,
        })
    }
}

/// The command could not be started. errno 0 when no system call failed.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecFailed {
    pub stage: SpawnStage,
    pub errno: i32,
    pub message: String,
}

impl ExecFailed {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u8(out, self.stage as u8);
        put_i32(out, self.errno);
        put_str(out, &self.message);
    }

    #[cfg(test)]
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(ExecFailed {
            stage: SpawnStage::decode(reader)?,
            errno: reader.i32()?,
            message: reader.str()?,
        })
    }
}

/// The process ended, and what it had written by then was sent before this. signal 0 = it exited with code. Others may hold its stdout and stderr: what they write follows.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecExited {
    pub code: i32,
    pub signal: u8,
}

impl ExecExited {
    fn encode(&self, out: &mut Vec<u8>) {
        put_i32(out, self.code);
        put_u8(out, self.signal);
    }

    #[cfg(test)]
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(ExecExited {
            code: reader.i32()?,
            signal: reader.u8()?,
        })
    }
}

/// Sends a signal to the whole process group.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    pub signal: u8,
}

impl Signal {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u8(out, self.signal);
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Signal {
            signal: reader.u8()?,
        })
    }
}

/// New size of the command's terminal.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    pub rows: u16,
    pub cols: u16,
}

impl Resize {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u16(out, self.rows);
        put_u16(out, self.cols);
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Resize {
            rows: reader.u16()?,
            cols: reader.u16()?,
        })
    }
}

/// Answered by Pong. Does not count as activity.
#[derive(Clone, Debug, PartialEq)]
pub struct Ping {
    pub nonce: u32,
}

impl Ping {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.nonce);
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Ping {
            nonce: reader.u32()?,
        })
    }
}

/// The answer to Ping.
#[derive(Clone, Debug, PartialEq)]
pub struct Pong {
    pub nonce: u32,
}

impl Pong {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.nonce);
    }

    #[cfg(test)]
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Pong {
            nonce: reader.u32()?,
        })
    }
}

/// The signal to everything, SIGTERM after half of graceMs if it was another one, SIGKILL after graceMs, sync, unmount, power off. Answered by ShuttingDown.
#[derive(Clone, Debug, PartialEq)]
pub struct Shutdown {
    pub grace_ms: u32,
    pub signal: u8,
}

impl Shutdown {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.grace_ms);
        put_u8(out, self.signal);
    }

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Shutdown {
            grace_ms: reader.u32()?,
            signal: reader.u8()?,
        })
    }
}

/// Bytes. Root is the file system that / is on, as statfs reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    pub memory_total: u64,
    pub memory_available: u64,
    pub root_total: u64,
    pub root_free: u64,
}

impl Stats {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u53(out, self.memory_total);
        put_u53(out, self.memory_available);
        put_u53(out, self.root_total);
        put_u53(out, self.root_free);
    }

    #[cfg(test)]
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Stats {
            memory_total: reader.u53()?,
            memory_available: reader.u53()?,
            root_total: reader.u53()?,
            root_free: reader.u53()?,
        })
    }
}

/// The guest's kernel has killed processes because memory ran out: so many since it booted (oom_kill of /proc/vmstat).
#[derive(Clone, Debug, PartialEq)]
pub struct OutOfMemory {
    pub kills: u64,
}

impl OutOfMemory {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u53(out, self.kills);
    }

    #[cfg(test)]
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(OutOfMemory {
            kills: reader.u53()?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Half-close: this side sends no more data on the stream. Messages may follow.
    End,
    /// This side has no use for more data (as RFC 9000, 19.5): what is sent from now on is dropped.
    StopSending,
    Credit(Credit),
    Failure(Failure),
    AgentHello(AgentHello),
    Seed(Seed),
    Clock(Clock),
    Mount(Mount),
    /// The answer to Mount.
    Mounted,
    Boot(Boot),
    /// The root file system is mounted and commands can be run.
    Ready,
    BootFailed(BootFailed),
    Exec(Exec),
    ExecStarted(ExecStarted),
    ExecFailed(ExecFailed),
    ExecExited(ExecExited),
    /// Comes after ExecExited: nobody holds the command's stdout and stderr any more.
    OutputsEnded,
    Signal(Signal),
    Resize(Resize),
    Ping(Ping),
    Pong(Pong),
    Shutdown(Shutdown),
    /// Processes are gone and file systems are flushed; the guest powers off next.
    ShuttingDown,
    /// Answered by Stats.
    StatsRequest,
    Stats(Stats),
    /// The guest is a sandbox and tells what happens in it.
    Events,
    OutOfMemory(OutOfMemory),
    /// Somebody inside has asked for the guest's end (poweroff, halt, reboot).
    PowerOff,
}

impl Message {
    /// Appends the message: its tag, then its fields.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Message::End => put_u8(out, 14),
            Message::StopSending => put_u8(out, 15),
            Message::Credit(message) => {
                put_u8(out, 18);
                message.encode(out);
            }
            Message::Failure(message) => {
                put_u8(out, 61);
                message.encode(out);
            }
            Message::AgentHello(message) => {
                put_u8(out, 1);
                message.encode(out);
            }
            Message::Seed(message) => {
                put_u8(out, 7);
                message.encode(out);
            }
            Message::Clock(message) => {
                put_u8(out, 8);
                message.encode(out);
            }
            Message::Mount(message) => {
                put_u8(out, 9);
                message.encode(out);
            }
            Message::Mounted => put_u8(out, 20),
            Message::Boot(message) => {
                put_u8(out, 2);
                message.encode(out);
            }
            Message::Ready => put_u8(out, 3),
            Message::BootFailed(message) => {
                put_u8(out, 4);
                message.encode(out);
            }
            Message::Exec(message) => {
                put_u8(out, 10);
                message.encode(out);
            }
            Message::ExecStarted(message) => {
                put_u8(out, 11);
                message.encode(out);
            }
            Message::ExecFailed(message) => {
                put_u8(out, 12);
                message.encode(out);
            }
            Message::ExecExited(message) => {
                put_u8(out, 13);
                message.encode(out);
            }
            Message::OutputsEnded => put_u8(out, 21),
            Message::Signal(message) => {
                put_u8(out, 16);
                message.encode(out);
            }
            Message::Resize(message) => {
                put_u8(out, 17);
                message.encode(out);
            }
            Message::Ping(message) => {
                put_u8(out, 30);
                message.encode(out);
            }
            Message::Pong(message) => {
                put_u8(out, 31);
                message.encode(out);
            }
            Message::Shutdown(message) => {
                put_u8(out, 34);
                message.encode(out);
            }
            Message::ShuttingDown => put_u8(out, 35),
            Message::StatsRequest => put_u8(out, 32),
            Message::Stats(message) => {
                put_u8(out, 33);
                message.encode(out);
            }
            Message::Events => put_u8(out, 36),
            Message::OutOfMemory(message) => {
                put_u8(out, 37);
                message.encode(out);
            }
            Message::PowerOff => put_u8(out, 38),
        }
    }

    /// Decodes the payload of a control frame that the supervisor sent.
    pub fn decode(bytes: &[u8]) -> Result<Message, WireError> {
        let mut reader = Reader::new(bytes);
        let message = match reader.u8()? {
            14 => Message::End,
            15 => Message::StopSending,
            18 => Message::Credit(Credit::decode(&mut reader)?),
            61 => Message::Failure(Failure::decode(&mut reader)?),
            7 => Message::Seed(Seed::decode(&mut reader)?),
            8 => Message::Clock(Clock::decode(&mut reader)?),
            9 => Message::Mount(Mount::decode(&mut reader)?),
            2 => Message::Boot(Boot::decode(&mut reader)?),
            10 => Message::Exec(Exec::decode(&mut reader)?),
            16 => Message::Signal(Signal::decode(&mut reader)?),
            17 => Message::Resize(Resize::decode(&mut reader)?),
            30 => Message::Ping(Ping::decode(&mut reader)?),
            34 => Message::Shutdown(Shutdown::decode(&mut reader)?),
            32 => Message::StatsRequest,
            _ => return Err(WireError::UnexpectedTag),
        };
        reader.end()?;
        Ok(message)
    }

    /// Decodes what the agent itself sends.
    #[cfg(test)]
    pub fn decode_sent(bytes: &[u8]) -> Result<Message, WireError> {
        let mut reader = Reader::new(bytes);
        let message = match reader.u8()? {
            14 => Message::End,
            15 => Message::StopSending,
            18 => Message::Credit(Credit::decode(&mut reader)?),
            61 => Message::Failure(Failure::decode(&mut reader)?),
            1 => Message::AgentHello(AgentHello::decode(&mut reader)?),
            20 => Message::Mounted,
            3 => Message::Ready,
            4 => Message::BootFailed(BootFailed::decode(&mut reader)?),
            11 => Message::ExecStarted(ExecStarted::decode(&mut reader)?),
            12 => Message::ExecFailed(ExecFailed::decode(&mut reader)?),
            13 => Message::ExecExited(ExecExited::decode(&mut reader)?),
            21 => Message::OutputsEnded,
            31 => Message::Pong(Pong::decode(&mut reader)?),
            35 => Message::ShuttingDown,
            33 => Message::Stats(Stats::decode(&mut reader)?),
            36 => Message::Events,
            37 => Message::OutOfMemory(OutOfMemory::decode(&mut reader)?),
            38 => Message::PowerOff,
            _ => return Err(WireError::UnexpectedTag),
        };
        reader.end()?;
        Ok(message)
    }
}
