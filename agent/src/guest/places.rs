//! Places that the agent needs in a root file system, whatever the image has put there. Nothing is written through a link of
//! the image's: what it leads to is the image's own. No program of the image runs yet, so what was looked at stays so.

use crate::sys::{EISDIR, ENOTDIR, O_NOFOLLOW};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{symlink, DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Whether the path itself is a directory, and not a link to one.
pub fn is_directory(path: impl AsRef<Path>) -> bool {
    fs::symlink_metadata(path).map_or(false, |found| found.is_dir())
}

/// Makes the path itself a directory: what else is there goes, except one that is there.
pub fn claim_directory(path: &str, mode: u32) -> Result<()> {
    if !is_directory(path) {
        remove(path)?;
        make_directory(path, mode)?;
    }
    Ok(())
}

/// Makes a directory where nothing is.
pub fn make_directory(path: &str, mode: u32) -> Result<()> {
    fs::create_dir(path)?;
    set_mode(path, mode)
}

/// The same. A link to a directory becomes a directory of links, so that what it led to is still found in it.
pub fn claim_filled_directory(path: &str, mode: u32) -> Result<()> {
    let linked = if is_directory(path) {
        None
    } else {
        fs::canonicalize(path).ok()
    };
    let entries = linked.and_then(|directory| fs::read_dir(directory).ok());
    claim_directory(path, mode)?;
    for entry in entries.into_iter().flatten().flatten() {
        symlink(entry.path(), Path::new(path).join(entry.file_name()))?;
    }
    Ok(())
}

/// Makes the path itself an empty file of one name, which is owned by root unless it was there.
pub fn claim_file(path: &str, mode: u32) -> Result<()> {
    // A second name may be anywhere in the image.
    if !fs::symlink_metadata(path).map_or(false, |found| found.is_file() && found.nlink() == 1) {
        remove(path)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let file = options.custom_flags(O_NOFOLLOW).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

/// Makes a directory that is not there, and those above it. A link that leads nowhere is followed: what it leads to is made.
pub fn make_directories(path: &Path, mode: u32) -> Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => return Err(Error::from_raw_os_error(ENOTDIR)),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let above = path.parent().unwrap_or_else(|| Path::new("/"));
    if let Ok(target) = fs::read_link(path) {
        return make_directories(&above.join(target), mode);
    }
    make_directories(above, mode)?;
    DirBuilder::new().mode(mode).create(path)
}

/// Makes sure that something is there on which a file can be mounted. What is there stays as it is.
pub fn find_or_make_file(path: &str) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => Err(Error::from_raw_os_error(EISDIR)),
        Err(error) if error.kind() == ErrorKind::NotFound => make_file(path),
        result => result.map(drop),
    }
}

fn make_file(path: &str) -> Result<()> {
    let parent = Path::new(path).parent();
    if !parent.map_or(false, is_directory) {
        return Err(Error::from_raw_os_error(ENOTDIR));
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).open(path).map(drop)
}

/// Opens a file that was claimed, to write to it.
pub fn open_claimed(path: &str) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    options.custom_flags(O_NOFOLLOW).open(path)
}

pub fn set_mode(path: impl AsRef<Path>, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Removes what has this name, if anything has.
pub fn remove(path: &str) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::UnixListener;

    /// A directory of a test's own, with a file that must stay as it is.
    struct Scratch(String);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("agent-{name}-{}", std::process::id()));
            fs::create_dir_all(path.join("elsewhere")).unwrap();
            fs::write(path.join("elsewhere/victim"), "mine").unwrap();
            Scratch(path.to_str().unwrap().to_owned())
        }

        fn at(&self, name: &str) -> String {
            format!("{}/{name}", self.0)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            assert_eq!(
                fs::read_to_string(self.at("elsewhere/victim")).unwrap(),
                "mine"
            );
            assert_eq!(fs::read_dir(self.at("elsewhere")).unwrap().count(), 1);
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Puts one of everything at paths below a scratch directory.
    fn fill(scratch: &Scratch) -> Vec<String> {
        let at = |name: &str| scratch.at(name);
        symlink("elsewhere/victim", at("link")).unwrap();
        symlink("elsewhere/nothing", at("dangling")).unwrap();
        symlink("elsewhere", at("link-to-directory")).unwrap();
        fs::hard_link(at("elsewhere/victim"), at("second-name")).unwrap();
        fs::create_dir_all(at("directory/inner")).unwrap();
        fs::write(at("file"), "old").unwrap();
        drop(UnixListener::bind(at("socket")).unwrap());
        let names = [
            "link",
            "dangling",
            "link-to-directory",
            "second-name",
            "directory",
        ];
        let others = ["file", "socket", "missing"];
        names.iter().chain(&others).map(|name| at(name)).collect()
    }

    #[test]
    fn a_file_replaces_whatever_is_there_and_nothing_else() {
        let scratch = Scratch::new("claim-file");
        for path in fill(&scratch) {
            claim_file(&path, 0o644).unwrap();
            let found = fs::symlink_metadata(&path).unwrap();
            assert!(
                found.is_file() && found.len() == 0 && found.nlink() == 1,
                "{path}"
            );
            assert_eq!(found.mode() & 0o7777, 0o644, "{path}");
        }
    }

    #[test]
    fn a_directory_replaces_whatever_is_there_but_a_directory() {
        let scratch = Scratch::new("claim-directory");
        for path in fill(&scratch) {
            let kept = path.ends_with("/directory");
            claim_directory(&path, 0o1777).unwrap();
            assert!(is_directory(&path), "{path}");
            let mode = fs::symlink_metadata(&path).unwrap().mode() & 0o7777;
            assert_eq!(mode == 0o1777, !kept, "{path}");
            assert_eq!(fs::read_dir(&path).unwrap().count(), kept.into(), "{path}");
        }
    }

    #[test]
    fn what_a_link_led_to_is_found_in_the_directory_that_replaces_it() {
        let scratch = Scratch::new("claim-filled");
        symlink("elsewhere", scratch.at("etc")).unwrap();
        let etc = scratch.at("etc");
        claim_filled_directory(&etc, 0o755).unwrap();
        let victim = scratch.at("etc/victim");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        claim_file(&victim, 0o644).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "");
        // A second time it is one already.
        claim_filled_directory(&etc, 0o755).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "");
    }

    #[test]
    fn a_mount_point_is_made_only_where_nothing_is() {
        let scratch = Scratch::new("mount-point");
        for path in fill(&scratch) {
            let before = fs::symlink_metadata(&path).ok().map(|found| found.ino());
            let result = find_or_make_file(&path);
            assert_eq!(result.is_ok(), !path.ends_with("/directory"), "{path}");
            let after = fs::symlink_metadata(&path).unwrap();
            assert!(
                before.map_or(after.is_file(), |inode| inode == after.ino()),
                "{path}"
            );
            assert!(!after.file_type().is_fifo());
        }
        let through_a_link = scratch.at("link-to-directory/new");
        assert!(find_or_make_file(&through_a_link).is_err());
    }
}
