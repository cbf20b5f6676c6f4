//! Answers one request after the other.

use super::attributes::{self, Attributes};
use super::handles::{Handle, Handles, MOST};
use super::names::{home_of, Names};
use super::packet::{answer, ask, bad, status, Fields, Packet};
use super::LONGEST;
use crate::sys::{self, EACCES, EEXIST, EINVAL, ENOENT, ENOSYS, EOPNOTSUPP, EPERM};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{symlink, DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

/// What is told of the client's packets, and of the server's: their longest contents.
const MOST_DATA: usize = LONGEST - 1024;
/// So much of a listing is sent at a time.
const LISTING: usize = 64 * 1024;

const READ: u32 = 1;
const WRITE: u32 = 2;
const APPEND: u32 = 4;
const CREATE: u32 = 8;
const TRUNCATE: u32 = 0x10;
const EXCLUSIVE: u32 = 0x20;

const EXTENSIONS: [(&str, &str); 7] = [
    ("posix-rename@openssh.com", "1"),
    ("hardlink@openssh.com", "1"),
    ("fsync@openssh.com", "1"),
    ("lsetstat@openssh.com", "1"),
    ("limits@openssh.com", "1"),
    ("statvfs@openssh.com", "2"),
    ("expand-path@openssh.com", "1"),
];

pub struct Server {
    packet: Packet,
    handles: Handles,
    names: Names,
    begun: bool,
}

impl Server {
    pub fn new() -> Server {
        Server {
            packet: Packet::new(),
            handles: Handles::new(),
            names: Names::default(),
            begun: false,
        }
    }

    /// The answer to one request. Err when the client does not keep to the protocol.
    pub fn answer(&mut self, request: &[u8]) -> Result<&[u8]> {
        let mut fields = Fields::new(request);
        let kind = fields.u8()?;
        if (kind == ask::INIT) == self.begun {
            return Err(bad("INIT has to come first, and once"));
        }
        if kind == ask::INIT {
            self.begun = true;
            self.packet.begin_without_id(answer::VERSION).u32(3);
            for (name, version) in EXTENSIONS {
                self.packet
                    .string(name.as_bytes())
                    .string(version.as_bytes());
            }
            return Ok(self.packet.finished());
        }
        let id = fields.u32()?;
        if let Err(error) = self.carry_out(kind, id, &mut fields) {
            self.status(id, status_of(&error), &sys::words_of(&error));
        }
        Ok(self.packet.finished())
    }

    fn status(&mut self, id: u32, code: u32, words: &str) {
        let packet = self.packet.begin(answer::STATUS, id);
        packet.u32(code).string(words.as_bytes()).string(b"en");
    }

    fn ok(&mut self, id: u32) -> Result<()> {
        self.status(id, status::OK, "Success");
        Ok(())
    }

    fn carry_out(&mut self, kind: u8, id: u32, fields: &mut Fields) -> Result<()> {
        match kind {
            ask::OPEN => self.open(id, fields),
            ask::CLOSE => self.handles.close(fields).and_then(|()| self.ok(id)),
            ask::READ => self.read(id, fields),
            ask::WRITE => {
                let (file, append) = self.handles.file(fields)?;
                let (offset, data) = (fields.u64()?, fields.string()?);
                match append {
                    true => io_write(file, data)?,
                    false => file.write_all_at(data, offset)?,
                }
                self.ok(id)
            }
            ask::STAT => self.attributes(id, &fs::metadata(path(fields)?)?),
            ask::LSTAT => self.attributes(id, &fs::symlink_metadata(path(fields)?)?),
            ask::FSTAT => {
                let found = match self.handles.get(fields)? {
                    Handle::File { file, .. } => file.metadata()?,
                    Handle::Directory { path, .. } => fs::metadata(path)?,
                };
                self.attributes(id, &found)
            }
            ask::SETSTAT => {
                let path = path(fields)?;
                Attributes::read(fields)?.set(&path, true)?;
                self.ok(id)
            }
            ask::FSETSTAT => {
                match self.handles.get(fields)? {
                    Handle::File { file, .. } => Attributes::read(fields)?.set_open(file)?,
                    Handle::Directory { path, .. } => Attributes::read(fields)?.set(path, true)?,
                }
                self.ok(id)
            }
            ask::OPENDIR => {
                self.handles.has_room()?;
                let path = path(fields)?;
                let entries = fs::read_dir(&path)?;
                self.handle(id, Handle::Directory { path, entries })
            }
            ask::READDIR => self.list(id, fields),
            ask::REMOVE => fs::remove_file(path(fields)?).and_then(|()| self.ok(id)),
            ask::MKDIR => {
                let path = path(fields)?;
                let mode = Attributes::read(fields)?.mode.unwrap_or(0o777);
                fs::DirBuilder::new().mode(mode).create(path)?;
                self.ok(id)
            }
            ask::RMDIR => fs::remove_dir(path(fields)?).and_then(|()| self.ok(id)),
            ask::REALPATH => {
                let path = real_path(&path(fields)?)?;
                self.name(id, &path)
            }
            ask::RENAME => {
                let (from, to) = (path(fields)?, path(fields)?);
                rename_to_new(&from, &to)?;
                self.ok(id)
            }
            ask::READLINK => {
                let target = fs::read_link(path(fields)?)?;
                self.name(id, &target)
            }
            ask::SYMLINK => {
                // In the order that OpenSSH has, against the draft: all clients follow it.
                let (target, link) = (path(fields)?, path(fields)?);
                symlink(target, link)?;
                self.ok(id)
            }
            ask::EXTENDED => self.extended(id, fields),
            _ => Err(Error::from_raw_os_error(EOPNOTSUPP)),
        }
    }

    fn extended(&mut self, id: u32, fields: &mut Fields) -> Result<()> {
        match fields.string()? {
            b"posix-rename@openssh.com" => fs::rename(path(fields)?, path(fields)?)?,
            b"hardlink@openssh.com" => fs::hard_link(path(fields)?, path(fields)?)?,
            b"fsync@openssh.com" => self.handles.file(fields)?.0.sync_all()?,
            b"lsetstat@openssh.com" => {
                let path = path(fields)?;
                Attributes::read(fields)?.set(&path, false)?;
            }
            b"limits@openssh.com" => {
                let packet = self.packet.begin(answer::EXTENDED, id);
                packet.u64(LONGEST as u64);
                packet
                    .u64(MOST_DATA as u64)
                    .u64(MOST_DATA as u64)
                    .u64(MOST as u64);
                return Ok(());
            }
            b"statvfs@openssh.com" => {
                let path = path(fields)?;
                let space = sys::space_of(&path)?;
                self.packet.begin(answer::EXTENDED, id);
                for value in space {
                    self.packet.u64(value);
                }
                return Ok(());
            }
            b"expand-path@openssh.com" => {
                let path = real_path(&expand(fields.string()?)?)?;
                return self.name(id, &path);
            }
            _ => return Err(Error::from_raw_os_error(EOPNOTSUPP)),
        }
        self.ok(id)
    }

    fn open(&mut self, id: u32, fields: &mut Fields) -> Result<()> {
        self.handles.has_room()?;
        let path = path(fields)?;
        let flags = fields.u32()?;
        let mode = Attributes::read(fields)?.mode.unwrap_or(0o666);
        let has = |flag: u32| flags & flag != 0;
        let append = has(APPEND);
        let file = File::options()
            .read(has(READ) || !has(WRITE | APPEND))
            .write(has(WRITE) && !append)
            .append(append)
            .create(has(CREATE))
            .create_new(has(CREATE) && has(EXCLUSIVE))
            // The library refuses it together with `append`.
            .truncate(has(TRUNCATE) && !append)
            .mode(mode)
            .open(path)?;
        if has(TRUNCATE) && append {
            file.set_len(0)?;
        }
        self.handle(id, Handle::File { file, append })
    }

    fn handle(&mut self, id: u32, handle: Handle) -> Result<()> {
        let number = self.handles.add(handle).to_be_bytes();
        self.packet.begin(answer::HANDLE, id).string(&number);
        Ok(())
    }

    fn read(&mut self, id: u32, fields: &mut Fields) -> Result<()> {
        let (file, _) = self.handles.file(fields)?;
        let offset = fields.u64()?;
        let most = (fields.u32()? as usize).min(MOST_DATA);
        let packet = self.packet.begin(answer::DATA, id);
        match packet.filled(most, |bytes| file.read_at(bytes, offset))? {
            Some(_) => {}
            None => self.status(id, status::EOF, "End of file"),
        }
        Ok(())
    }

    fn attributes(&mut self, id: u32, found: &Metadata) -> Result<()> {
        attributes::write(self.packet.begin(answer::ATTRS, id), found);
        Ok(())
    }

    /// One name without attributes.
    fn name(&mut self, id: u32, path: &Path) -> Result<()> {
        let bytes = path.as_os_str().as_bytes();
        let packet = self.packet.begin(answer::NAME, id).u32(1);
        packet.string(bytes).string(bytes).u32(0);
        Ok(())
    }

    fn list(&mut self, id: u32, fields: &mut Fields) -> Result<()> {
        let (path, entries) = match self.handles.get(fields)? {
            Handle::Directory { path, entries } => (path, entries),
            Handle::File { .. } => return Err(Error::from_raw_os_error(EINVAL)),
        };
        let now = now();
        self.packet.begin(answer::NAME, id);
        let count_at = self.packet.len();
        self.packet.u32(0);
        let mut count = 0;
        while self.packet.len() < LISTING {
            let name = match entries.next() {
                Some(entry) => entry?.file_name(),
                None => break,
            };
            // What has gone meanwhile is left out.
            let found = match fs::symlink_metadata(path.join(&name)) {
                Ok(found) => found,
                Err(_) => continue,
            };
            let user = self.names.user(found.uid());
            let group = self.names.group(found.gid());
            let mut line = attributes::line(&found, &user, &group, now).into_bytes();
            line.push(b' ');
            line.extend_from_slice(name.as_bytes());
            self.packet.string(name.as_bytes()).string(&line);
            attributes::write(&mut self.packet, &found);
            count += 1;
        }
        match count {
            0 => self.status(id, status::EOF, "End of file"),
            _ => self.packet.set_u32(count_at, count),
        }
        Ok(())
    }
}

/// Appends, wherever the file's end is.
fn io_write(file: &mut File, data: &[u8]) -> Result<()> {
    use std::io::Write;
    file.write_all(data)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |time| time.as_secs() as i64)
}

/// A path as the client means it: an empty one is where it began.
fn path(fields: &mut Fields) -> Result<PathBuf> {
    let bytes = fields.string()?;
    let bytes = if bytes.is_empty() { b"." } else { bytes };
    Ok(PathBuf::from(OsStr::from_bytes(bytes)))
}

/// As realpath(3), but the last part of it need not be there.
fn real_path(path: &Path) -> Result<PathBuf> {
    let error = match fs::canonicalize(path) {
        Ok(real) => return Ok(real),
        Err(error) => error,
    };
    let last = path.components().last();
    match (error.raw_os_error(), path.parent(), last) {
        (Some(ENOENT), Some(parent), Some(Component::Normal(name))) => {
            let parent = if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            };
            Ok(fs::canonicalize(parent)?.join(name))
        }
        _ => Err(error),
    }
}

/// `~` and `~user` at the beginning of a path.
fn expand(path: &[u8]) -> Result<PathBuf> {
    let text = match path.strip_prefix(b"~") {
        Some(text) => text,
        None => return Ok(PathBuf::from(OsStr::from_bytes(path))),
    };
    let end = text
        .iter()
        .position(|byte| *byte == b'/')
        .unwrap_or(text.len());
    let (user, rest) = text.split_at(end);
    let home = match user {
        b"" => std::env::var_os("HOME").map(PathBuf::from),
        _ => std::str::from_utf8(user).ok().and_then(home_of),
    };
    let home = home.ok_or_else(|| Error::from_raw_os_error(ENOENT))?;
    let rest = rest.strip_prefix(b"/").unwrap_or(rest);
    Ok(home.join(OsStr::from_bytes(rest)))
}

/// A rename that replaces nothing. A file is given its second name first, which fails where there is one.
fn rename_to_new(from: &Path, to: &Path) -> Result<()> {
    if fs::symlink_metadata(from)?.is_file() {
        match fs::hard_link(from, to) {
            Ok(()) => return fs::remove_file(from),
            // A file system without hard links.
            Err(error) if matches!(error.raw_os_error(), Some(EPERM | EOPNOTSUPP | ENOSYS)) => {}
            Err(error) => return Err(error),
        }
    }
    if fs::symlink_metadata(to).is_ok() {
        return Err(Error::from_raw_os_error(EEXIST));
    }
    fs::rename(from, to)
}

fn status_of(error: &Error) -> u32 {
    match error.raw_os_error() {
        Some(ENOENT) => status::NO_SUCH_FILE,
        Some(EACCES | EPERM) => status::PERMISSION_DENIED,
        Some(EOPNOTSUPP | ENOSYS) => status::OP_UNSUPPORTED,
        None if error.kind() == ErrorKind::InvalidData => status::BAD_MESSAGE,
        _ => status::FAILURE,
    }
}
