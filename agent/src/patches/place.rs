//! Where in the root a patch does something.

use super::{is_there, Directory, During, Outcome};
use crate::files::failed::refusal;
use crate::guest::{is_managed, places};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};

/// The kernel's own file systems, and the agent's.
const NOT_OF_THE_ROOT: [&str; 4] = ["/proc", "/sys", "/dev", "/.msb"];

/// A name in a directory that is there.
pub struct Place {
    /// As it was asked for.
    path: PathBuf,
    /// Without links.
    directory: PathBuf,
    pub name: OsString,
}

impl Place {
    /// Makes the directories on the way that are missing. A link that leads nowhere is followed: what it leads to is made.
    pub fn make(path: &Path) -> Outcome<Place> {
        let above = path.parent().unwrap_or_else(|| Path::new("/"));
        // Nothing is to be made where nothing is kept.
        must_be_kept(path).during("open", path)?;
        places::make_directories(above, super::DIRECTORY_MODE).during("mkdir", above)?;
        let place = Place::new(path, above).during("open", path)?;
        must_be_kept(&place.at()).during("open", path)?;
        Ok(place)
    }

    /// None when there is no such directory.
    pub fn find(path: &Path) -> Outcome<Option<Place>> {
        let above = path.parent().unwrap_or_else(|| Path::new("/"));
        match Place::new(path, above) {
            Ok(place) => {
                must_be_kept(&place.at()).during("open", path)?;
                Ok(Some(place))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).during("open", path),
        }
    }

    /// The agent's own directory of scripts, which is in memory and made anew at each start.
    pub fn of_script(path: &Path) -> Outcome<Place> {
        let above = path.parent().unwrap_or_else(|| Path::new("/"));
        Place::new(path, above).during("open", path)
    }

    fn new(path: &Path, above: &Path) -> Result<Place> {
        Ok(Place {
            path: path.to_path_buf(),
            directory: fs::canonicalize(above)?,
            name: path
                .file_name()
                .unwrap_or_else(|| OsStr::new(""))
                .to_os_string(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn at(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    pub fn open(&self) -> Result<Directory> {
        Directory::open(&self.directory)
    }

    /// Whether a directory is there, or a link that leads to one.
    pub fn leads_to_directory(&self) -> bool {
        fs::metadata(self.at()).map_or(false, |found| found.is_dir())
    }

    /// What is there; an error if it is not to be replaced.
    pub fn found(&self, replace: bool) -> Result<Option<Metadata>> {
        match fs::symlink_metadata(self.at()) {
            Ok(found) if replace => Ok(Some(found)),
            Ok(_) => Err(is_there()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Refuses what would not be there for the sandbox, or not for long.
pub fn must_be_kept(path: &Path) -> Result<()> {
    if NOT_OF_THE_ROOT.iter().any(|top| path.starts_with(top)) {
        return Err(refusal("it is not part of the root file system"));
    }
    match is_managed(path) {
        true => Err(refusal("the sandbox writes it itself at each start")),
        false => Ok(()),
    }
}
