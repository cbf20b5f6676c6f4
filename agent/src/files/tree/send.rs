//! A tree out of the guest: a directory's entries, or all of it with the contents of its files.

use super::records::{put_data, put_entry, put_hole, put_problem, DATA_RECORD};
use crate::files::attributes::{entry, must_be_regular};
use crate::files::failed::{path_of, refusal, During, Failed, Outcome};
use crate::files::link::Link;
use crate::files::walk::{id_of, Directory, Way};
use crate::generated::limits::{FRAME_HEADER_BYTES, MAX_DATA_PAYLOAD};
use crate::generated::messages::{
    FileKind, FileOpened, FileProblem, Message, TreeDone, TreeEntry, TreeSend,
};
use crate::sys::{self, ECANCELED, EFBIG, ELOOP, ENAMETOOLONG, O_NOFOLLOW, O_NONBLOCK};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{Error, Result, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Bytes that are sent together: with the header of their frame they fill whole writes to the port.
const PIECE: usize = MAX_DATA_PAYLOAD - FRAME_HEADER_BYTES;
/// Of problems, so many are named at the end.
pub const MOST_PROBLEMS: usize = 100;
/// Bytes; a file of no more is read before its size is told: files of proc and sys have another size than they say.
const SMALL: u64 = 64 << 10;
/// Bytes; what such a file may have all the same. Some have no end, or none that is worth its memory.
const MOST_UNTOLD: usize = 16 << 20;
/// Directories below each other that are entered; whoever receives the tree takes no more (`tree-path.ts`).
const DEEPEST: usize = 512;
/// The same where links are followed: there is no way back by `..`, and all of them have to be held open.
const DEEPEST_FOLLOWED: usize = 32;
/// Bytes of a path; with all else an entry has to fit in a record.
const LONGEST: usize = 32 << 10;

pub fn send(request: &TreeSend, link: &Link) -> Outcome<TreeDone> {
    let path = path_of(&request.path);
    let metadata = match request.follow_root || request.follow_all {
        true => fs::metadata(path),
        false => fs::symlink_metadata(path),
    }
    .during("stat", path)?;
    let mut way = Way::new();
    if metadata.is_dir() && request.depth != Some(0) {
        let directory = Directory::open(path).during("open", path)?;
        way.enter(directory, OsStr::new("")).during("list", path)?;
    }
    link.tell(Message::FileOpened(FileOpened {
        size: metadata.len(),
    }));
    let mut sender = Sender::new(link, request);
    sender
        .entry(Vec::new(), path, &metadata)
        .during("send", path)?;
    while way.depth() > 0 {
        match way.next(link).during("list", path_of(way.path())) {
            Ok(Some(name)) => {
                let below = way.below(&name);
                if let Err(failed) = sender.visit(&mut way, &name, &below) {
                    sender.problem(failed, &below)?;
                }
            }
            Ok(None) => {
                way.leave();
            }
            Err(failed) => {
                sender.problem(failed, way.path())?;
                way.leave();
            }
        }
    }
    sender.finish().during("send", path)
}

struct Sender<'a> {
    link: &'a Link,
    request: &'a TreeSend,
    /// What is not sent yet: less than a frame.
    out: Vec<u8>,
    done: TreeDone,
}

impl<'a> Sender<'a> {
    fn new(link: &'a Link, request: &'a TreeSend) -> Sender<'a> {
        Sender {
            link,
            request,
            out: Vec::new(),
            done: TreeDone {
                problem_count: 0,
                problems: Vec::new(),
            },
        }
    }

    /// Sends an entry. Enters the directory that it is, if its entries are to be sent too.
    fn visit(&mut self, way: &mut Way, name: &OsStr, path: &[u8]) -> Outcome<()> {
        let shown = path_of(path);
        if path.len() > LONGEST {
            return Err(Error::from_raw_os_error(ENAMETOOLONG)).during("stat", shown);
        }
        let at = way.directory().during("stat", shown)?.at(name);
        let follow = self.request.follow_all;
        let metadata = match follow {
            // A link that leads nowhere is sent as a link.
            true => fs::metadata(&at).or_else(|_| fs::symlink_metadata(&at)),
            false => fs::symlink_metadata(&at),
        }
        .during("stat", shown)?;
        self.entry(path.to_vec(), &at, &metadata)
            .during("read", shown)?;
        let depth = self.request.depth.unwrap_or(u32::MAX) as usize;
        if !metadata.is_dir() || way.depth() >= depth {
            return Ok(());
        }
        let deepest = if follow { DEEPEST_FOLLOWED } else { DEEPEST };
        if way.depth() >= deepest {
            let words = format!("It is deeper than {deepest} directories");
            return Err(refusal(&words)).during("open", shown);
        }
        if way.has(id_of(&metadata)) {
            // A link that was followed leads back to where it is.
            return Err(Error::from_raw_os_error(ELOOP)).during("open", shown);
        }
        match follow {
            true => Directory::open(&at),
            false => Directory::open_itself(&at),
        }
        .and_then(|directory| way.enter(directory, name))
        .during("open", shown)
    }

    fn entry(&mut self, path: Vec<u8>, at: &Path, metadata: &Metadata) -> Result<()> {
        let mut entry = entry(path, at, metadata);
        if entry.kind != FileKind::File || !self.request.contents {
            return self.put_entry(&entry);
        }
        let file = self.open(at, entry.path.is_empty())?;
        let metadata = file.metadata()?;
        must_be_regular(&metadata)?;
        entry.size = metadata.len();
        if entry.size >= 1 << 53 {
            return Err(Error::from_raw_os_error(EFBIG));
        }
        if entry.size > SMALL {
            self.put_entry(&entry)?;
            return self.contents(file, &metadata);
        }
        let mut bytes = Vec::new();
        while sys::read_more(&file, &mut bytes, SMALL as usize)? > 0 {
            if bytes.len() > MOST_UNTOLD {
                return Err(Error::from_raw_os_error(EFBIG));
            }
            self.link.check()?;
        }
        entry.size = bytes.len() as u64;
        self.put_entry(&entry)?;
        if !bytes.is_empty() {
            self.put(|out| {
                put_data(out, bytes.len() as u64);
                out.extend(&bytes);
            })?;
        }
        Ok(())
    }

    fn open(&self, at: &Path, is_root: bool) -> Result<File> {
        let flags = match self.request.follow_all || is_root && self.request.follow_root {
            true => O_NONBLOCK,
            false => O_NONBLOCK | O_NOFOLLOW,
        };
        OpenOptions::new().read(true).custom_flags(flags).open(at)
    }

    /// Fails when it cannot be read to its end; the problem that is sent then says that what came of it is void.
    fn contents(&mut self, mut file: File, metadata: &Metadata) -> Result<()> {
        let size = metadata.len();
        let sparse = metadata.blocks().saturating_mul(512) < size;
        let mut at = 0;
        while at < size {
            let stretch = match sparse {
                true => sys::next_data(&file, at).unwrap_or(Some((at, size))),
                false => Some((at, size)),
            };
            let (start, end) = stretch.unwrap_or((size, size));
            let (start, end) = (start.min(size), end.min(size));
            // A hole at the end is one only while the file is as long as it was.
            if end == start && file.metadata()?.len() < size {
                return Err(became_shorter());
            }
            if start > at {
                self.put(|out| put_hole(out, start - at))?;
            }
            if end > start {
                file.seek(SeekFrom::Start(start))?;
                self.stretch(&file, end - start)?;
            }
            at = end;
        }
        Ok(())
    }

    /// Sends so many bytes of a file. What cannot be read any more is not told of.
    fn stretch(&mut self, file: &File, mut left: u64) -> Result<()> {
        self.flush(1)?;
        while left > 0 {
            let count = self.link.send_from(file, left, |count| {
                let mut record = Vec::with_capacity(DATA_RECORD);
                put_data(&mut record, count);
                record
            })?;
            if count == 0 {
                return Err(became_shorter());
            }
            left -= count as u64;
        }
        Ok(())
    }

    fn put_entry(&mut self, entry: &TreeEntry) -> Result<()> {
        self.put(|out| put_entry(out, entry))
    }

    /// Appends to what is to be sent, and sends whole frames.
    fn put(&mut self, append: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        append(&mut self.out);
        self.flush(PIECE)
    }

    /// Sends what there is in frames, as long as there are so many bytes.
    fn flush(&mut self, least: usize) -> Result<()> {
        while self.out.len() >= least {
            let rest = self.out.split_off(self.out.len().min(PIECE));
            let frame = std::mem::replace(&mut self.out, rest);
            self.link.send(frame)?;
        }
        Ok(())
    }

    /// Takes note of what could not be sent; the rest goes on, unless nobody wants it.
    fn problem(&mut self, failed: Failed, path: &[u8]) -> Outcome<()> {
        if failed.errno() == ECANCELED {
            return Err(failed);
        }
        let problem = failed.into_problem(path);
        self.put(|out| put_problem(out, &problem))
            .during("send", path_of(path))?;
        note(&mut self.done, problem);
        Ok(())
    }

    fn finish(mut self) -> Result<TreeDone> {
        if !self.out.is_empty() {
            self.flush(1)?;
        }
        Ok(self.done)
    }
}

fn became_shorter() -> Error {
    refusal("It has become shorter while it was read")
}

pub fn note(done: &mut TreeDone, problem: FileProblem) {
    done.problem_count += 1;
    if done.problems.len() < MOST_PROBLEMS {
        done.problems.push(problem);
    }
}
