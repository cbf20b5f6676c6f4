use super::*;
use crate::files::failed::Failed;
use std::io::Write;

/// Of a full disk, and of a full quota (errno(3)).
const ENOSPC: i32 = 28;
const EDQUOT: i32 = 122;

/// What is begun for a file in a directory that takes no new names.
fn in_place(at: &Path) -> Replacement {
    let (file, old) = open_regular(at, OpenOptions::new().read(true).write(true), 0).unwrap();
    Replacement {
        directory: Directory::open(at.parent().unwrap()).unwrap(),
        name: at.file_name().unwrap().to_os_string(),
        aside: None,
        file,
        old: Some(old),
        old_is_lost: false,
    }
}

fn failure(new: &Replacement) -> String {
    let outcome: Outcome<()> = Err(Error::from_raw_os_error(ENOSPC)).during("write", "/x");
    match new.explain(outcome).map_err(Failed::into_message) {
        Err(Message::FileFailed(failed)) => failed.message,
        _ => String::new(),
    }
}

#[test]
fn where_a_file_is_written_in_place_the_old_one_goes_with_the_first_byte() {
    let at = std::env::temp_dir().join(format!("msb-in-place-{}", std::process::id()));
    fs::write(&at, "old").unwrap();
    let given_up = in_place(&at);
    assert_eq!(failure(&given_up), "No space left on device");
    drop(given_up);
    assert_eq!(fs::read(&at).unwrap(), b"old");

    let mut new = in_place(&at);
    new.file().unwrap().write_all(b"n").unwrap();
    assert!(failure(&new).contains("what was in it is lost"));
    new.file().unwrap().write_all(b"ew").unwrap();
    new.finish(Attributes::default()).unwrap();
    assert_eq!(fs::read(&at).unwrap(), b"new");

    in_place(&at).finish(Attributes::default()).unwrap();
    assert_eq!(fs::read(&at).unwrap(), b"");
    fs::remove_file(at).unwrap();
}

#[test]
fn a_full_disk_is_no_reason_to_write_in_place() {
    for errno in [ENOSPC, EDQUOT, crate::sys::EIO] {
        assert!(!takes_no_names(&Error::from_raw_os_error(errno)));
    }
    for errno in [EROFS, EACCES, EPERM] {
        assert!(takes_no_names(&Error::from_raw_os_error(errno)));
    }
}

#[test]
fn a_path_that_is_a_directorys_is_no_new_file() {
    let top = std::env::temp_dir().join(format!("msb-slash-{}", std::process::id()));
    fs::create_dir(&top).unwrap();
    std::os::unix::fs::symlink("missing/", top.join("dangling")).unwrap();
    for name in ["new/", "new/.", "new//", "dangling"] {
        let begun = Replacement::begin(&top.join(name));
        assert_eq!(
            begun.err().map(|error| sys::errno_of(&error)),
            Some(EISDIR),
            "{name}"
        );
    }
    assert_eq!(fs::read_dir(&top).unwrap().count(), 1);
    let mut new = Replacement::begin(&top.join("./new")).unwrap();
    new.finish(Attributes::default()).unwrap();
    assert!(top.join("new").is_file());
    fs::remove_dir_all(top).unwrap();
}
