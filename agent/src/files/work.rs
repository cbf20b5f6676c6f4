//! What can be asked for, and who does it.

use super::failed::{path_of, During, Outcome};
use super::link::Link;
use super::tree::{receive, send};
use super::{attributes, read, remove, replace, watch};
use crate::generated::messages::{FilePath, Message};
use crate::patches;
use crate::sys::{self, EINVAL};
use std::fs;
use std::io::Error;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Does what a message asks for. Returns the last word.
pub fn perform(request: Message, link: &mut Link) -> Outcome<Message> {
    let done = |()| Message::FileDone;
    match request {
        Message::FileStat(stat) => {
            attributes::stat(path_of(&stat.path), stat.follow).map(Message::FileMetadata)
        }
        Message::FileRead(request) => read::read(&request, link).map(done),
        Message::FileWrite(request) => replace::write(&request, link).map(done),
        Message::FileCopy(request) => replace::copy(&request, link).map(done),
        Message::FileMakeDirectory(request) => attributes::make_directory(&request).map(done),
        Message::FileRemove(request) => {
            let path = path_of(&request.path);
            match request.recursive {
                true => remove::remove_tree(path, link).map(done),
                false => fs::remove_file(path).during("remove", path).map(done),
            }
        }
        Message::FileRename(request) => {
            let (from, to) = (path_of(&request.from), path_of(&request.to));
            fs::rename(from, to).during("rename", from).map(done)
        }
        Message::FileSymlink(request) => {
            let path = path_of(&request.path);
            std::os::unix::fs::symlink(path_of(&request.target), path)
                .during("symlink", path)
                .map(done)
        }
        Message::FileReadLink(request) => {
            let path = path_of(&request.path);
            fs::read_link(path).during("readlink", path).map(answer)
        }
        Message::FileRealPath(request) => {
            let path = path_of(&request.path);
            fs::canonicalize(path).during("realpath", path).map(answer)
        }
        Message::FileSetMode(request) => {
            attributes::set_mode(path_of(&request.path), request.mode).map(done)
        }
        Message::FileSetOwner(request) => {
            let path = path_of(&request.path);
            sys::set_owner(path, request.uid, request.gid, request.follow)
                .during("chown", path)
                .map(done)
        }
        Message::FileSetTimes(request) => {
            let path = path_of(&request.path);
            let (accessed, modified) = (request.accessed_ns, request.modified_ns);
            sys::set_times(path, accessed, modified, request.follow)
                .during("utimes", path)
                .map(done)
        }
        Message::FileTruncate(request) => {
            attributes::truncate(path_of(&request.path), request.size).map(done)
        }
        Message::TreeSend(request) => send::send(&request, link).map(Message::TreeDone),
        Message::TreeReceive(request) => receive::receive(&request, link).map(Message::TreeDone),
        Message::FileWatch(request) => watch::watch(path_of(&request.path), link).map(done),
        Message::FlushDisks => {
            sys::sync_disks();
            Ok(Message::FileDone)
        }
        Message::PatchApply(request) => patches::apply(&request, link),
        // Whoever opens a link has looked at what the message is.
        _ => Err(Error::from_raw_os_error(EINVAL)).during("begin", ""),
    }
}

fn answer(path: PathBuf) -> Message {
    Message::FilePath(FilePath {
        path: path.as_os_str().as_bytes().to_vec(),
    })
}
