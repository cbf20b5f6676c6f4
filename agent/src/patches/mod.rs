//! Changes of a root file system before it is a sandbox's: patches, and scripts that are too long for a message. No program of
//! the image runs yet, so what was looked at stays so. Paths lead through the links of the image, and out of its root there is
//! no way: it is the agent's own by now.

mod file;
mod place;
mod tree;

use crate::files::attributes::FILE_MODE;
use crate::files::failed::{path_of, refusal, During, Outcome};
use crate::files::link::Link;
use crate::files::remove::remove_tree;
use crate::files::target::fill;
use crate::files::walk::Directory;
use crate::generated::messages::{Message, PatchApply, PatchKind};
use crate::guest::places;
use crate::sys::{self, EEXIST, EISDIR, ENOENT, ENOTDIR};
use file::PlacedFile;
use place::Place;
use std::fs::{self, OpenOptions};
use std::io::{Error, Result};
use std::os::unix::fs::symlink;
use std::path::Path;

/// Of a directory, when nobody says otherwise.
const DIRECTORY_MODE: u32 = 0o755;

/// Applies one patch. What it consists of follows on its stream.
pub fn apply(request: &PatchApply, link: &mut Link) -> Outcome<Message> {
    let path = path_of(&request.path);
    match request.kind {
        PatchKind::File => file(request, &Place::make(path)?, link)?,
        PatchKind::Script => file(request, &Place::of_script(path)?, link)?,
        PatchKind::Tree => tree::receive(request, &Place::make(path)?, link)?,
        PatchKind::Append => append(path, link)?,
        PatchKind::Symlink => make_link(request, &Place::make(path)?, link)?,
        PatchKind::Directory => make_directory(request, &Place::make(path)?)?,
        PatchKind::Remove => {
            match Place::find(path) {
                Ok(Some(place)) => clear(&place.at(), false, link)?,
                Ok(None) => {}
                // Below a file there is nothing either.
                Err(failed) if failed.errno() == ENOTDIR => {}
                Err(failed) => return Err(failed),
            }
        }
    }
    Ok(Message::FileDone)
}

fn file(request: &PatchApply, place: &Place, link: &mut Link) -> Outcome<()> {
    let path = place.path();
    let mut new = PlacedFile::begin(request, place).during("open", path)?;
    fill(&mut new, path, link)?;
    let mode = request.mode.map_or(FILE_MODE, u32::from);
    new.finish(mode, link)
}

fn append(path: &Path, link: &mut Link) -> Outcome<()> {
    let place = Place::find(path)?;
    let missing = || Error::from_raw_os_error(ENOENT);
    let place = place.ok_or_else(missing).during("open", path)?;
    let at = place.at();
    let found = fs::metadata(&at).during("open", path)?;
    if found.is_dir() {
        return Err(Error::from_raw_os_error(EISDIR)).during("open", path);
    }
    if !found.is_file() {
        return Err(refusal("it is not a regular file")).during("open", path);
    }
    let target = fs::canonicalize(&at).during("open", path)?;
    place::must_be_kept(&target).during("open", path)?;
    let mut options = OpenOptions::new();
    let mut file = options.append(true).open(&target).during("open", path)?;
    fill(&mut file, path, link)
}

fn make_link(request: &PatchApply, place: &Place, link: &Link) -> Outcome<()> {
    let path = place.path();
    if place
        .found(request.replace)
        .during("symlink", path)?
        .is_some()
    {
        clear(&place.at(), request.keep_directories, link)?;
    }
    symlink(path_of(&request.target), place.at()).during("symlink", path)?;
    match request.in_place {
        true => Ok(()),
        false => sys::set_owner(&place.at(), Some(0), Some(0), false).during("chown", path),
    }
}

fn make_directory(request: &PatchApply, place: &Place) -> Outcome<()> {
    let (path, at) = (place.path(), place.at());
    match fs::metadata(&at) {
        Ok(found) if !found.is_dir() => {
            Err(Error::from_raw_os_error(ENOTDIR)).during("mkdir", path)
        }
        // A directory of the host's gets the mode that it is to have; one of an image keeps its own.
        Ok(_) => match request.mode.filter(|_| request.in_place) {
            Some(mode) => places::set_mode(&at, mode.into()).during("chmod", path),
            None => Ok(()),
        },
        Err(_) => {
            let mode = request.mode.map_or(DIRECTORY_MODE, u32::from);
            new_directory(&at, mode, !request.in_place).during("mkdir", path)
        }
    }
}

/// Makes a directory where nothing is.
fn new_directory(at: &Path, mode: u32, owned: bool) -> Result<()> {
    fs::create_dir(at)?;
    if owned {
        // That of its directory, if that says so.
        sys::set_owner(at, Some(0), Some(0), false)?;
    }
    places::set_mode(at, mode)
}

/// Removes what has this name, if anything has; an error for a directory if those are kept.
fn clear(at: &Path, keep_directories: bool, link: &Link) -> Outcome<()> {
    match fs::symlink_metadata(at) {
        Ok(found) if found.is_dir() && keep_directories => {
            Err(Error::from_raw_os_error(EISDIR)).during("replace", at)
        }
        Ok(found) if found.is_dir() => remove_tree(at, link),
        Ok(_) => fs::remove_file(at).during("remove", at),
        Err(error) if [ENOENT, ENOTDIR].contains(&sys::errno_of(&error)) => Ok(()),
        Err(error) => Err(error).during("remove", at),
    }
}

/// Why something is not replaced that nobody said to replace.
fn is_there() -> Error {
    Error::from_raw_os_error(EEXIST)
}

#[cfg(test)]
mod tests;
