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

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FileKind {
    File,
    Directory,
    Symlink,
    Other,
}

impl FileKind {
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        match reader.u8()? {
            0 => Ok(FileKind::File),
            1 => Ok(FileKind::Directory),
            2 => Ok(FileKind::Symlink),
            3 => Ok(FileKind::Other),
            _ => Err(WireError::BadEnum),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FileChangeKind {
    Created,
    Modified,
    Closed,
    Attributes,
    Deleted,
    MovedFrom,
    MovedTo,
    Gone,
    Overflow,
}

impl FileChangeKind {
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        match reader.u8()? {
            0 => Ok(FileChangeKind::Created),
            1 => Ok(FileChangeKind::Modified),
            2 => Ok(FileChangeKind::Closed),
            3 => Ok(FileChangeKind::Attributes),
            4 => Ok(FileChangeKind::Deleted),
            5 => Ok(FileChangeKind::MovedFrom),
            6 => Ok(FileChangeKind::MovedTo),
            7 => Ok(FileChangeKind::Gone),
            8 => Ok(FileChangeKind::Overflow),
            _ => Err(WireError::BadEnum),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PatchKind {
    File,
    Script,
    Tree,
    Append,
    Symlink,
    Directory,
    Remove,
}

impl PatchKind {
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        match reader.u8()? {
            0 => Ok(PatchKind::File),
            1 => Ok(PatchKind::Script),
            2 => Ok(PatchKind::Tree),
            3 => Ok(PatchKind::Append),
            4 => Ok(PatchKind::Symlink),
            5 => Ok(PatchKind::Directory),
            6 => Ok(PatchKind::Remove),
            _ => Err(WireError::BadEnum),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct GuestNetwork {
    pub mac: Vec<u8>,
    pub mtu: u32,
    pub addresses: Vec<GuestAddress>,
}

impl GuestNetwork {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.mac);
        put_u32(out, self.mtu);
        put_list(out, &self.addresses, |out, item| item.encode(out));
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(GuestNetwork {
            mac: reader.bytes()?,
            mtu: reader.u32()?,
            addresses: reader.list(9, GuestAddress::decode)?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct GuestAddress {
    pub address: Vec<u8>,
    pub prefix: u8,
    pub gateway: Vec<u8>,
}

impl GuestAddress {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.address);
        put_u8(out, self.prefix);
        put_bytes(out, &self.gateway);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(GuestAddress {
            address: reader.bytes()?,
            prefix: reader.u8()?,
            gateway: reader.bytes()?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct GuestTrust {
    pub authority: Option<String>,
    pub host_roots: Vec<String>,
}

impl GuestTrust {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_optional(out, &self.authority, |out, item| put_str(out, item));
        put_list(out, &self.host_roots, |out, item| put_str(out, item));
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(GuestTrust {
            authority: reader.optional(Reader::str)?,
            host_roots: reader.list(4, Reader::str)?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    pub name: String,
    pub content: Vec<u8>,
}

impl Script {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.name);
        put_bytes(out, &self.content);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.path);
        put_bool(out, self.read_only);
        put_bool(out, self.no_exec);
        put_bool(out, self.no_suid);
        put_bool(out, self.no_devices);
        put_optional(out, &self.memory, |out, item| item.encode(out));
        put_optional(out, &self.disk, |out, item| item.encode(out));
        put_optional(out, &self.files, |out, item| item.encode(out));
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.size_mib);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.file_system.encode(out);
        put_bool(out, self.fills);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bool(out, self.is_file);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_optional(out, &self.layered, |out, item| item.encode(out));
        put_optional(out, &self.shared, |out, item| item.encode(out));
        put_optional(out, &self.disk, |out, item| item.encode(out));
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.lower.encode(out);
        put_optional(out, &self.upper_serial, |out, item| put_str(out, item));
        put_u32(out, self.upper_size_mib);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.tag);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(SharedRoot {
            tag: reader.str()?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct DiskFileSystem {
    pub serial: String,
    pub fs_type: String,
}

impl DiskFileSystem {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.serial);
        put_str(out, &self.fs_type);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u8(out, self.resource);
        put_u64(out, self.soft);
        put_u64(out, self.hard);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(ResourceLimit {
            resource: reader.u8()?,
            soft: reader.u64()?,
            hard: reader.u64()?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct TreeEntry {
    pub path: Vec<u8>,
    pub kind: FileKind,
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub mtime_ns: i64,
    pub size: u64,
    pub target: Vec<u8>,
}

impl TreeEntry {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
        put_u8(out, self.kind as u8);
        put_u16(out, self.mode);
        put_u32(out, self.uid);
        put_u32(out, self.gid);
        put_i64(out, self.mtime_ns);
        put_u53(out, self.size);
        put_bytes(out, &self.target);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(TreeEntry {
            path: reader.bytes()?,
            kind: FileKind::decode(reader)?,
            mode: reader.u16()?,
            uid: reader.u32()?,
            gid: reader.u32()?,
            mtime_ns: reader.i64()?,
            size: reader.u53()?,
            target: reader.bytes()?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct FileProblem {
    pub path: Vec<u8>,
    pub operation: String,
    pub errno: i32,
    pub message: String,
}

impl FileProblem {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
        put_str(out, &self.operation);
        put_i32(out, self.errno);
        put_str(out, &self.message);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileProblem {
            path: reader.bytes()?,
            operation: reader.str()?,
            errno: reader.i32()?,
            message: reader.str()?,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct FileChange {
    pub kind: FileChangeKind,
    pub name: Vec<u8>,
    pub is_directory: bool,
    pub cookie: u32,
}

impl FileChange {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u8(out, self.kind as u8);
        put_bytes(out, &self.name);
        put_bool(out, self.is_directory);
        put_u32(out, self.cookie);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileChange {
            kind: FileChangeKind::decode(reader)?,
            name: reader.bytes()?,
            is_directory: reader.bool()?,
            cookie: reader.u32()?,
        })
    }
}

/// The receiver of data on this stream can take so many bytes more, data and extra together. Credits add up, but never to more than was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Credit {
    pub bytes: u32,
}

impl Credit {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.bytes);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.code);
        put_str(out, &self.message);
        put_str(out, &self.hint);
        put_str(out, &self.details);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.protocol_version);
        put_str(out, &self.agent_version);
        put_str(out, &self.kernel_release);
    }

    #[cfg(test)]
    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.protocol_version);
        put_bytes(out, &self.entropy);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u53(out, self.seconds);
        put_u32(out, self.nanoseconds);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub network: Option<GuestNetwork>,
    pub trust: Option<GuestTrust>,
}

impl Mount {
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.root.encode(out);
        put_u32(out, self.tmp_size_mib);
        put_list(out, &self.programs, |out, item| put_str(out, item));
        put_optional(out, &self.network, |out, item| item.encode(out));
        put_optional(out, &self.trust, |out, item| item.encode(out));
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Mount {
            root: Root::decode(reader)?,
            tmp_size_mib: reader.u32()?,
            programs: reader.list(4, Reader::str)?,
            network: reader.optional(GuestNetwork::decode)?,
            trust: reader.optional(GuestTrust::decode)?,
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
    pub network: Option<GuestNetwork>,
    pub trust: Option<GuestTrust>,
}

impl Boot {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.hostname);
        put_str(out, &self.workdir);
        put_list(out, &self.mounts, |out, item| item.encode(out));
        put_list(out, &self.scripts, |out, item| item.encode(out));
        put_optional(out, &self.network, |out, item| item.encode(out));
        put_optional(out, &self.trust, |out, item| item.encode(out));
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Boot {
            hostname: reader.str()?,
            workdir: reader.str()?,
            mounts: reader.list(11, GuestMount::decode)?,
            scripts: reader.list(8, Script::decode)?,
            network: reader.optional(GuestNetwork::decode)?,
            trust: reader.optional(GuestTrust::decode)?,
        })
    }
}

/// A guest that stands still goes on as the sandbox that it is. With `elsewhere` in another machine than before: its connections to the outside are reset.
#[derive(Clone, Debug, PartialEq)]
pub struct GoOn {
    pub elsewhere: bool,
}

impl GoOn {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bool(out, self.elsewhere);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(GoOn {
            elsewhere: reader.bool()?,
        })
    }
}

/// A guest that stands still is a copy of the one that was asked to: it gets a name and an id of its own, and goes on, unless it is to stand still until it is told again. Comes after Seed; answered by Ready or BootFailed. The names are those of the sandboxes, for /.msb/fork.json; the signal is for all programs that have a handler for it, 0 for none.
#[derive(Clone, Debug, PartialEq)]
pub struct BecomeCopy {
    pub hostname: String,
    pub name: String,
    pub source: String,
    pub signal: u8,
    pub goes_on: bool,
}

impl BecomeCopy {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.hostname);
        put_str(out, &self.name);
        put_str(out, &self.source);
        put_u8(out, self.signal);
        put_bool(out, self.goes_on);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(BecomeCopy {
            hostname: reader.str()?,
            name: reader.str()?,
            source: reader.str()?,
            signal: reader.u8()?,
            goes_on: reader.bool()?,
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.step);
        put_i32(out, self.errno);
        put_str(out, &self.message);
    }

    #[cfg(test)]
    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
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

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.pid);
        put_u32(out, self.session_id);
    }

    #[cfg(test)]
    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u8(out, self.stage as u8);
        put_i32(out, self.errno);
        put_str(out, &self.message);
    }

    #[cfg(test)]
    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_i32(out, self.code);
        put_u8(out, self.signal);
    }

    #[cfg(test)]
    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u8(out, self.signal);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u16(out, self.rows);
        put_u16(out, self.cols);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Resize {
            rows: reader.u16()?,
            cols: reader.u16()?,
        })
    }
}

/// Answered by FileMetadata. follow: of what a link leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct FileStat {
    pub path: Vec<u8>,
    pub follow: bool,
}

impl FileStat {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
        put_bool(out, self.follow);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileStat {
            path: reader.bytes()?,
            follow: reader.bool()?,
        })
    }
}

/// The path of the entry is empty. createdNs: where the file system knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct FileMetadata {
    pub entry: TreeEntry,
    pub created_ns: Option<i64>,
    pub links: u64,
}

impl FileMetadata {
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.entry.encode(out);
        put_optional(out, &self.created_ns, |out, item| put_i64(out, *item));
        put_u53(out, self.links);
    }

    #[cfg(test)]
    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileMetadata {
            entry: TreeEntry::decode(reader)?,
            created_ns: reader.optional(Reader::i64)?,
            links: reader.u53()?,
        })
    }
}

/// Answered by FileOpened, the contents, and FileDone. length null: to the end.
#[derive(Clone, Debug, PartialEq)]
pub struct FileRead {
    pub path: Vec<u8>,
    pub offset: u64,
    pub length: Option<u64>,
}

impl FileRead {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
        put_u53(out, self.offset);
        put_optional(out, &self.length, |out, item| put_u53(out, *item));
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileRead {
            path: reader.bytes()?,
            offset: reader.u53()?,
            length: reader.optional(Reader::u53)?,
        })
    }
}

/// What was asked for is there and can be used. size is what it had then, bytes; 0 where that means nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct FileOpened {
    pub size: u64,
}

impl FileOpened {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u53(out, self.size);
    }

    #[cfg(test)]
    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileOpened {
            size: reader.u53()?,
        })
    }
}

/// Answered by FileOpened; the contents follow, and End, which is answered by FileDone. Until then the old file is there; where no file can be made beside it, until the first byte comes. mode null: as the old file's, or 0644.
#[derive(Clone, Debug, PartialEq)]
pub struct FileWrite {
    pub path: Vec<u8>,
    pub mode: Option<u16>,
}

impl FileWrite {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
        put_optional(out, &self.mode, |out, item| put_u16(out, *item));
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileWrite {
            path: reader.bytes()?,
            mode: reader.optional(Reader::u16)?,
        })
    }
}

/// parents: makes those that are missing too, and one that is there is no error.
#[derive(Clone, Debug, PartialEq)]
pub struct FileMakeDirectory {
    pub path: Vec<u8>,
    pub parents: bool,
    pub mode: Option<u16>,
}

impl FileMakeDirectory {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
        put_bool(out, self.parents);
        put_optional(out, &self.mode, |out, item| put_u16(out, *item));
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileMakeDirectory {
            path: reader.bytes()?,
            parents: reader.bool()?,
            mode: reader.optional(Reader::u16)?,
        })
    }
}

/// recursive: a directory with all that is in it. Else anything but a directory.
#[derive(Clone, Debug, PartialEq)]
pub struct FileRemove {
    pub path: Vec<u8>,
    pub recursive: bool,
}

impl FileRemove {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
        put_bool(out, self.recursive);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileRemove {
            path: reader.bytes()?,
            recursive: reader.bool()?,
        })
    }
}

/// As rename(2).
#[derive(Clone, Debug, PartialEq)]
pub struct FileRename {
    pub from: Vec<u8>,
    pub to: Vec<u8>,
}

impl FileRename {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.from);
        put_bytes(out, &self.to);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileRename {
            from: reader.bytes()?,
            to: reader.bytes()?,
        })
    }
}

/// One file with its mode; what was there is replaced as by FileWrite.
#[derive(Clone, Debug, PartialEq)]
pub struct FileCopy {
    pub from: Vec<u8>,
    pub to: Vec<u8>,
}

impl FileCopy {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.from);
        put_bytes(out, &self.to);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileCopy {
            from: reader.bytes()?,
            to: reader.bytes()?,
        })
    }
}

/// As symlink(2).
#[derive(Clone, Debug, PartialEq)]
pub struct FileSymlink {
    pub target: Vec<u8>,
    pub path: Vec<u8>,
}

impl FileSymlink {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.target);
        put_bytes(out, &self.path);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileSymlink {
            target: reader.bytes()?,
            path: reader.bytes()?,
        })
    }
}

/// Answered by FilePath.
#[derive(Clone, Debug, PartialEq)]
pub struct FileReadLink {
    pub path: Vec<u8>,
}

impl FileReadLink {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileReadLink {
            path: reader.bytes()?,
        })
    }
}

/// Answered by FilePath.
#[derive(Clone, Debug, PartialEq)]
pub struct FileRealPath {
    pub path: Vec<u8>,
}

impl FileRealPath {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileRealPath {
            path: reader.bytes()?,
        })
    }
}

/// The answer to FileReadLink and FileRealPath.
#[derive(Clone, Debug, PartialEq)]
pub struct FilePath {
    pub path: Vec<u8>,
}

impl FilePath {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
    }

    #[cfg(test)]
    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FilePath {
            path: reader.bytes()?,
        })
    }
}

/// As chmod(2).
#[derive(Clone, Debug, PartialEq)]
pub struct FileSetMode {
    pub path: Vec<u8>,
    pub mode: u16,
}

impl FileSetMode {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
        put_u16(out, self.mode);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileSetMode {
            path: reader.bytes()?,
            mode: reader.u16()?,
        })
    }
}

/// As chown(2), or lchown(2) without follow. null: as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSetOwner {
    pub path: Vec<u8>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub follow: bool,
}

impl FileSetOwner {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
        put_optional(out, &self.uid, |out, item| put_u32(out, *item));
        put_optional(out, &self.gid, |out, item| put_u32(out, *item));
        put_bool(out, self.follow);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileSetOwner {
            path: reader.bytes()?,
            uid: reader.optional(Reader::u32)?,
            gid: reader.optional(Reader::u32)?,
            follow: reader.bool()?,
        })
    }
}

/// As utimensat(2). null: as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSetTimes {
    pub path: Vec<u8>,
    pub accessed_ns: Option<i64>,
    pub modified_ns: Option<i64>,
    pub follow: bool,
}

impl FileSetTimes {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
        put_optional(out, &self.accessed_ns, |out, item| put_i64(out, *item));
        put_optional(out, &self.modified_ns, |out, item| put_i64(out, *item));
        put_bool(out, self.follow);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileSetTimes {
            path: reader.bytes()?,
            accessed_ns: reader.optional(Reader::i64)?,
            modified_ns: reader.optional(Reader::i64)?,
            follow: reader.bool()?,
        })
    }
}

/// As truncate(2).
#[derive(Clone, Debug, PartialEq)]
pub struct FileTruncate {
    pub path: Vec<u8>,
    pub size: u64,
}

impl FileTruncate {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
        put_u53(out, self.size);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileTruncate {
            path: reader.bytes()?,
            size: reader.u53()?,
        })
    }
}

/// It could not be done. operation: the step that failed, such as open. errno 0 when no system call failed.
#[derive(Clone, Debug, PartialEq)]
pub struct FileFailed {
    pub path: Vec<u8>,
    pub operation: String,
    pub errno: i32,
    pub message: String,
}

impl FileFailed {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
        put_str(out, &self.operation);
        put_i32(out, self.errno);
        put_str(out, &self.message);
    }

    #[cfg(test)]
    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileFailed {
            path: reader.bytes()?,
            operation: reader.str()?,
            errno: reader.i32()?,
            message: reader.str()?,
        })
    }
}

/// Answered by FileOpened, the records of the tree, and TreeDone. followRoot: what path is, if it is a link. followAll: every link. contents: those of files too; without them a file has no data and no holes. depth: so many levels below the root, null for all.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeSend {
    pub path: Vec<u8>,
    pub follow_root: bool,
    pub follow_all: bool,
    pub contents: bool,
    pub depth: Option<u32>,
}

impl TreeSend {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
        put_bool(out, self.follow_root);
        put_bool(out, self.follow_all);
        put_bool(out, self.contents);
        put_optional(out, &self.depth, |out, item| put_u32(out, *item));
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(TreeSend {
            path: reader.bytes()?,
            follow_root: reader.bool()?,
            follow_all: reader.bool()?,
            contents: reader.bool()?,
            depth: reader.optional(Reader::u32)?,
        })
    }
}

/// Answered by FileOpened; the records of a tree follow, and End, which is answered by TreeDone. What is there already is kept or replaced. keepMode, keepTimes, keepOwner: as the entries say, else as a program of root's would make them.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeReceive {
    pub path: Vec<u8>,
    pub keep_mode: bool,
    pub keep_times: bool,
    pub keep_owner: bool,
}

impl TreeReceive {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
        put_bool(out, self.keep_mode);
        put_bool(out, self.keep_times);
        put_bool(out, self.keep_owner);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(TreeReceive {
            path: reader.bytes()?,
            keep_mode: reader.bool()?,
            keep_times: reader.bool()?,
            keep_owner: reader.bool()?,
        })
    }
}

/// The tree has travelled but for what is named; of many problems the first ones are.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeDone {
    pub problem_count: u64,
    pub problems: Vec<FileProblem>,
}

impl TreeDone {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u53(out, self.problem_count);
        put_list(out, &self.problems, |out, item| item.encode(out));
    }

    #[cfg(test)]
    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(TreeDone {
            problem_count: reader.u53()?,
            problems: reader.list(16, FileProblem::decode)?,
        })
    }
}

/// Answered by FileOpened, by FileChanges for each Next, and by FileDone when what was watched is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct FileWatch {
    pub path: Vec<u8>,
}

impl FileWatch {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.path);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileWatch {
            path: reader.bytes()?,
        })
    }
}

/// What has happened since the last one, at least one change.
#[derive(Clone, Debug, PartialEq)]
pub struct FileChanges {
    pub changes: Vec<FileChange>,
}

impl FileChanges {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_list(out, &self.changes, |out, item| item.encode(out));
    }

    #[cfg(test)]
    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FileChanges {
            changes: reader.list(10, FileChange::decode)?,
        })
    }
}

/// Comes after the root is mounted and before Boot. mode null: that of the tree's root, 0644 or 0755. target: of a symlink. inPlace: the root is a directory of the host's, whose owners and modes are the host's. keepDirectories: no directory that is there is replaced by anything else. into: the name that a file of the host's gets in a directory that is at the path; empty: it takes its place.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchApply {
    pub kind: PatchKind,
    pub path: Vec<u8>,
    pub mode: Option<u16>,
    pub replace: bool,
    pub target: Vec<u8>,
    pub in_place: bool,
    pub keep_directories: bool,
    pub into: Vec<u8>,
}

impl PatchApply {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u8(out, self.kind as u8);
        put_bytes(out, &self.path);
        put_optional(out, &self.mode, |out, item| put_u16(out, *item));
        put_bool(out, self.replace);
        put_bytes(out, &self.target);
        put_bool(out, self.in_place);
        put_bool(out, self.keep_directories);
        put_bytes(out, &self.into);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(PatchApply {
            kind: PatchKind::decode(reader)?,
            path: reader.bytes()?,
            mode: reader.optional(Reader::u16)?,
            replace: reader.bool()?,
            target: reader.bytes()?,
            in_place: reader.bool()?,
            keep_directories: reader.bool()?,
            into: reader.bytes()?,
        })
    }
}

/// Answered by Pong. Does not count as activity.
#[derive(Clone, Debug, PartialEq)]
pub struct Ping {
    pub nonce: u32,
}

impl Ping {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.nonce);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.nonce);
    }

    #[cfg(test)]
    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.grace_ms);
        put_u8(out, self.signal);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Shutdown {
            grace_ms: reader.u32()?,
            signal: reader.u8()?,
        })
    }
}

/// Has the file system of the upper disk written to it, and frozen: whoever writes waits. Answered by DiskFrozen. It is thawed, which is answered by FileDone, when ReleaseDisk says so; when limitMs have passed or somebody in the guest has thawed it sooner, by FileFailed.
#[derive(Clone, Debug, PartialEq)]
pub struct FreezeDisk {
    pub limit_ms: u32,
}

impl FreezeDisk {
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.limit_ms);
    }

    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FreezeDisk {
            limit_ms: reader.u32()?,
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u53(out, self.memory_total);
        put_u53(out, self.memory_available);
        put_u53(out, self.root_total);
        put_u53(out, self.root_free);
    }

    #[cfg(test)]
    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u53(out, self.kills);
    }

    #[cfg(test)]
    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
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
    GoOn(GoOn),
    BecomeCopy(BecomeCopy),
    BootFailed(BootFailed),
    Exec(Exec),
    ExecStarted(ExecStarted),
    ExecFailed(ExecFailed),
    ExecExited(ExecExited),
    /// Comes after ExecExited: nobody holds the command's stdout and stderr any more.
    OutputsEnded,
    Signal(Signal),
    Resize(Resize),
    FileStat(FileStat),
    FileMetadata(FileMetadata),
    FileRead(FileRead),
    FileOpened(FileOpened),
    FileWrite(FileWrite),
    FileMakeDirectory(FileMakeDirectory),
    FileRemove(FileRemove),
    FileRename(FileRename),
    FileCopy(FileCopy),
    FileSymlink(FileSymlink),
    FileReadLink(FileReadLink),
    FileRealPath(FileRealPath),
    FilePath(FilePath),
    FileSetMode(FileSetMode),
    FileSetOwner(FileSetOwner),
    FileSetTimes(FileSetTimes),
    FileTruncate(FileTruncate),
    /// It was done.
    FileDone,
    FileFailed(FileFailed),
    TreeSend(TreeSend),
    TreeReceive(TreeReceive),
    TreeDone(TreeDone),
    FileWatch(FileWatch),
    FileChanges(FileChanges),
    PatchApply(PatchApply),
    Ping(Ping),
    Pong(Pong),
    Shutdown(Shutdown),
    /// Processes are gone and file systems are flushed; the guest powers off next.
    ShuttingDown,
    /// Has everything written that is not on the guest's disks yet. Answered by FileDone.
    FlushDisks,
    /// Has all processes of the guest stand still, so that it can be copied. Answered by StandsStill; from then on neither side says anything until the supervisor has copied it, and says GoOn.
    HoldStill,
    FreezeDisk(FreezeDisk),
    /// The first answer to FreezeDisk.
    DiskFrozen,
    /// The answer to HoldStill.
    StandsStill,
    /// The subscriber has used the last item and can take one more. So one that is slow has at most one under way, the newest.
    Next,
    /// It was copied: the guest may write.
    ReleaseDisk,
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
            Message::GoOn(message) => {
                put_u8(out, 41);
                message.encode(out);
            }
            Message::BecomeCopy(message) => {
                put_u8(out, 42);
                message.encode(out);
            }
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
            Message::FileStat(message) => {
                put_u8(out, 90);
                message.encode(out);
            }
            Message::FileMetadata(message) => {
                put_u8(out, 91);
                message.encode(out);
            }
            Message::FileRead(message) => {
                put_u8(out, 92);
                message.encode(out);
            }
            Message::FileOpened(message) => {
                put_u8(out, 93);
                message.encode(out);
            }
            Message::FileWrite(message) => {
                put_u8(out, 94);
                message.encode(out);
            }
            Message::FileMakeDirectory(message) => {
                put_u8(out, 95);
                message.encode(out);
            }
            Message::FileRemove(message) => {
                put_u8(out, 96);
                message.encode(out);
            }
            Message::FileRename(message) => {
                put_u8(out, 97);
                message.encode(out);
            }
            Message::FileCopy(message) => {
                put_u8(out, 98);
                message.encode(out);
            }
            Message::FileSymlink(message) => {
                put_u8(out, 99);
                message.encode(out);
            }
            Message::FileReadLink(message) => {
                put_u8(out, 100);
                message.encode(out);
            }
            Message::FileRealPath(message) => {
                put_u8(out, 101);
                message.encode(out);
            }
            Message::FilePath(message) => {
                put_u8(out, 102);
                message.encode(out);
            }
            Message::FileSetMode(message) => {
                put_u8(out, 103);
                message.encode(out);
            }
            Message::FileSetOwner(message) => {
                put_u8(out, 104);
                message.encode(out);
            }
            Message::FileSetTimes(message) => {
                put_u8(out, 105);
                message.encode(out);
            }
            Message::FileTruncate(message) => {
                put_u8(out, 106);
                message.encode(out);
            }
            Message::FileDone => put_u8(out, 107),
            Message::FileFailed(message) => {
                put_u8(out, 108);
                message.encode(out);
            }
            Message::TreeSend(message) => {
                put_u8(out, 109);
                message.encode(out);
            }
            Message::TreeReceive(message) => {
                put_u8(out, 110);
                message.encode(out);
            }
            Message::TreeDone(message) => {
                put_u8(out, 111);
                message.encode(out);
            }
            Message::FileWatch(message) => {
                put_u8(out, 112);
                message.encode(out);
            }
            Message::FileChanges(message) => {
                put_u8(out, 113);
                message.encode(out);
            }
            Message::PatchApply(message) => {
                put_u8(out, 130);
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
            Message::FlushDisks => put_u8(out, 39),
            Message::HoldStill => put_u8(out, 43),
            Message::FreezeDisk(message) => {
                put_u8(out, 45);
                message.encode(out);
            }
            Message::DiskFrozen => put_u8(out, 46),
            Message::StandsStill => put_u8(out, 44),
            Message::Next => put_u8(out, 64),
            Message::ReleaseDisk => put_u8(out, 78),
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
            41 => Message::GoOn(GoOn::decode(&mut reader)?),
            42 => Message::BecomeCopy(BecomeCopy::decode(&mut reader)?),
            10 => Message::Exec(Exec::decode(&mut reader)?),
            16 => Message::Signal(Signal::decode(&mut reader)?),
            17 => Message::Resize(Resize::decode(&mut reader)?),
            90 => Message::FileStat(FileStat::decode(&mut reader)?),
            92 => Message::FileRead(FileRead::decode(&mut reader)?),
            94 => Message::FileWrite(FileWrite::decode(&mut reader)?),
            95 => Message::FileMakeDirectory(FileMakeDirectory::decode(&mut reader)?),
            96 => Message::FileRemove(FileRemove::decode(&mut reader)?),
            97 => Message::FileRename(FileRename::decode(&mut reader)?),
            98 => Message::FileCopy(FileCopy::decode(&mut reader)?),
            99 => Message::FileSymlink(FileSymlink::decode(&mut reader)?),
            100 => Message::FileReadLink(FileReadLink::decode(&mut reader)?),
            101 => Message::FileRealPath(FileRealPath::decode(&mut reader)?),
            103 => Message::FileSetMode(FileSetMode::decode(&mut reader)?),
            104 => Message::FileSetOwner(FileSetOwner::decode(&mut reader)?),
            105 => Message::FileSetTimes(FileSetTimes::decode(&mut reader)?),
            106 => Message::FileTruncate(FileTruncate::decode(&mut reader)?),
            109 => Message::TreeSend(TreeSend::decode(&mut reader)?),
            110 => Message::TreeReceive(TreeReceive::decode(&mut reader)?),
            112 => Message::FileWatch(FileWatch::decode(&mut reader)?),
            130 => Message::PatchApply(PatchApply::decode(&mut reader)?),
            30 => Message::Ping(Ping::decode(&mut reader)?),
            34 => Message::Shutdown(Shutdown::decode(&mut reader)?),
            39 => Message::FlushDisks,
            43 => Message::HoldStill,
            45 => Message::FreezeDisk(FreezeDisk::decode(&mut reader)?),
            64 => Message::Next,
            78 => Message::ReleaseDisk,
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
            91 => Message::FileMetadata(FileMetadata::decode(&mut reader)?),
            93 => Message::FileOpened(FileOpened::decode(&mut reader)?),
            102 => Message::FilePath(FilePath::decode(&mut reader)?),
            107 => Message::FileDone,
            108 => Message::FileFailed(FileFailed::decode(&mut reader)?),
            111 => Message::TreeDone(TreeDone::decode(&mut reader)?),
            113 => Message::FileChanges(FileChanges::decode(&mut reader)?),
            31 => Message::Pong(Pong::decode(&mut reader)?),
            35 => Message::ShuttingDown,
            46 => Message::DiskFrozen,
            44 => Message::StandsStill,
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
