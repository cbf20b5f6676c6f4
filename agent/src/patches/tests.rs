//! As a directory of the host's is changed, so that the tests need no root; what is different in an image's root is seen in guests.

use super::*;
use crate::files::link::{Outbox, Shared};
use crate::files::tree::records::{put_data, put_entry, put_hole};
use crate::generated::messages::{FileKind, TreeEntry};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("msb-patch-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn patch(&self, kind: PatchKind, name: &str, replace: bool, data: &[u8]) -> Outcome<Message> {
        self.with(kind, name, None, replace, b"", data)
    }

    fn with(
        &self,
        kind: PatchKind,
        name: &str,
        mode: Option<u16>,
        replace: bool,
        target: &[u8],
        data: &[u8],
    ) -> Outcome<Message> {
        let request = PatchApply {
            kind,
            path: self.at(name).as_os_str().as_bytes().to_vec(),
            mode,
            replace,
            target: target.to_vec(),
            in_place: true,
            keep_directories: false,
            into: Vec::new(),
        };
        Scratch::apply(&request, data)
    }

    /// The same where no directory is replaced, and a file goes into one.
    fn keeping(&self, kind: PatchKind, name: &str, into: &str, data: &[u8]) -> Outcome<Message> {
        let request = PatchApply {
            kind,
            path: self.at(name).as_os_str().as_bytes().to_vec(),
            mode: None,
            replace: true,
            target: b"target".to_vec(),
            in_place: true,
            keep_directories: true,
            into: into.as_bytes().to_vec(),
        };
        Scratch::apply(&request, data)
    }

    fn apply(request: &PatchApply, data: &[u8]) -> Outcome<Message> {
        let shared = Arc::new(Shared::new());
        // In crumbs, as it may arrive.
        data.chunks(7).for_each(|piece| shared.data(piece));
        shared.end();
        let mut link = Link::new(1, shared, Arc::new(Outbox::new().unwrap()));
        apply(request, &mut link)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        fs::symlink_metadata(self.at(name)).unwrap().mode() & 0o7777
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn errno(outcome: Outcome<Message>) -> i32 {
    outcome.err().expect("it was applied").errno()
}

fn entry(out: &mut Vec<u8>, path: &[u8], kind: FileKind, mode: u16, size: u64, target: &[u8]) {
    let entry = TreeEntry {
        path: path.to_vec(),
        kind,
        mode,
        uid: 1,
        gid: 1,
        mtime_ns: 1,
        size,
        target: target.to_vec(),
    };
    put_entry(out, &entry);
}

fn file(out: &mut Vec<u8>, path: &[u8], mode: u16, contents: &[u8]) {
    entry(out, path, FileKind::File, mode, contents.len() as u64, b"");
    if !contents.is_empty() {
        put_data(out, contents.len() as u64);
        out.extend(contents);
    }
}

fn tree() -> Vec<u8> {
    let mut out = Vec::new();
    entry(&mut out, b"", FileKind::Directory, 0o750, 0, b"");
    file(&mut out, b"one", 0o640, b"1");
    entry(&mut out, b"sub", FileKind::Directory, 0o555, 0, b"");
    file(&mut out, b"sub/two", 0o755, b"");
    entry(
        &mut out,
        b"sub/link",
        FileKind::Symlink,
        0o777,
        0,
        b"../one",
    );
    entry(&mut out, b"last", FileKind::File, 0o644, 10, b"");
    put_hole(&mut out, 8);
    put_data(&mut out, 2);
    out.extend(b"ab");
    out
}

#[test]
fn a_file_gets_its_directories_and_its_mode() {
    let scratch = Scratch::new("file");
    assert!(scratch
        .patch(PatchKind::File, "a/b/file", false, b"contents")
        .is_ok());
    assert_eq!(scratch.read("a/b/file"), "contents");
    assert_eq!(
        (scratch.mode("a"), scratch.mode("a/b/file")),
        (0o755, 0o644)
    );
    assert_eq!(
        errno(scratch.patch(PatchKind::File, "a/b/file", false, b"x")),
        EEXIST
    );
    let mode = Some(0o4711);
    assert!(scratch
        .with(PatchKind::File, "a/b", mode, true, b"", b"now a file")
        .is_ok());
    assert_eq!(
        (scratch.read("a/b").as_str(), scratch.mode("a/b")),
        ("now a file", 0o4711)
    );
    assert_eq!(
        errno(scratch.patch(PatchKind::File, "a/b/below", false, b"x")),
        ENOTDIR
    );
}

#[test]
fn a_tree_arrives_and_goes_into_what_is_there() {
    let scratch = Scratch::new("tree");
    for round in 0..2 {
        assert!(scratch
            .patch(PatchKind::Tree, "to", round > 0, &tree())
            .is_ok());
        assert_eq!(scratch.read("to/one"), "1");
        assert_eq!(scratch.read("to/last"), "\0\0\0\0\0\0\0\0ab");
        assert_eq!(scratch.read("to/sub/link"), "1");
        let modes = ["to", "to/one", "to/sub", "to/sub/two"].map(|name| scratch.mode(name));
        assert_eq!(modes, [0o750, 0o640, 0o555, 0o755]);
        fs::set_permissions(scratch.at("to/sub"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(scratch.at("to/kept"), "kept").unwrap();
        fs::remove_file(scratch.at("to/one")).unwrap();
        fs::create_dir_all(scratch.at("to/one/full")).unwrap();
        fs::remove_dir_all(scratch.at("to/sub")).unwrap();
        fs::write(scratch.at("to/sub"), "a file").unwrap();
    }
    assert_eq!(scratch.read("to/kept"), "kept");
    assert_eq!(
        errno(scratch.patch(PatchKind::Tree, "to", false, &tree())),
        EEXIST
    );
}

#[test]
fn links_to_directories_are_gone_through_and_others_replaced() {
    let scratch = Scratch::new("links");
    fs::create_dir_all(scratch.at("elsewhere")).unwrap();
    fs::create_dir_all(scratch.at("to")).unwrap();
    symlink("../elsewhere", scratch.at("to/sub")).unwrap();
    symlink("../elsewhere/not-this", scratch.at("to/one")).unwrap();
    assert!(scratch.patch(PatchKind::Tree, "to", true, &tree()).is_ok());
    assert!(scratch.at("elsewhere/two").exists());
    assert!(!scratch.at("elsewhere/not-this").exists());
    assert_eq!(scratch.read("to/one"), "1");
}

#[test]
fn a_file_goes_into_a_directory_and_no_directory_is_replaced() {
    let scratch = Scratch::new("keep");
    fs::create_dir_all(scratch.at("etc/full/inner")).unwrap();
    fs::write(scratch.at("etc/kept"), "kept").unwrap();
    symlink("etc", scratch.at("link")).unwrap();
    let mut one = Vec::new();
    file(&mut one, b"", 0o640, b"1");
    for (at, made) in [
        ("etc", "etc/name"),
        ("link", "etc/name"),
        ("new", "new"),
        ("etc/kept", "etc/kept"),
    ] {
        assert!(scratch.keeping(PatchKind::Tree, at, "name", &one).is_ok());
        assert_eq!(
            (scratch.read(made).as_str(), scratch.mode(made)),
            ("1", 0o640)
        );
        fs::remove_file(scratch.at(made)).unwrap();
    }
    assert!(scratch.at("link").is_symlink());
    fs::create_dir_all(scratch.at("etc/one/inner")).unwrap();
    for outcome in [
        scratch.keeping(PatchKind::Tree, "etc", "full", &one),
        scratch.keeping(PatchKind::Tree, "etc", "", &one),
        scratch.keeping(PatchKind::Tree, "etc", "", &tree()),
        scratch.keeping(PatchKind::File, "etc", "", b"1"),
        scratch.keeping(PatchKind::Symlink, "etc", "", b""),
    ] {
        assert_eq!(errno(outcome), EISDIR);
    }
    assert!(scratch.at("etc/full/inner").is_dir() && scratch.at("etc/one/inner").is_dir());
}

#[test]
fn what_is_no_tree_is_refused() {
    let scratch = Scratch::new("broken");
    let whole = tree();
    for length in [0, 3, whole.len() / 2, whole.len() - 1] {
        assert!(
            scratch
                .patch(PatchKind::Tree, "broken", true, &whole[..length])
                .is_err(),
            "{length}"
        );
    }
    for path in [
        "/absolute",
        "../up",
        "a/../../up",
        ".",
        "",
        "a//b",
        "a/./b",
        "a/",
        "a\0b",
    ] {
        let mut bytes = Vec::new();
        entry(&mut bytes, b"", FileKind::Directory, 0o755, 0, b"");
        file(&mut bytes, path.as_bytes(), 0o644, b"evil");
        assert!(
            scratch
                .patch(PatchKind::Tree, "hostile", true, &bytes)
                .is_err(),
            "{path}"
        );
    }
    assert!(!scratch.at("up").exists() && !Path::new("/absolute").exists());
}

#[test]
fn text_is_added_to_what_is_there_alone() {
    let scratch = Scratch::new("append");
    fs::write(scratch.at("file"), "one\n").unwrap();
    fs::set_permissions(scratch.at("file"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink("file", scratch.at("link")).unwrap();
    assert!(scratch
        .patch(PatchKind::Append, "link", false, b"two\n")
        .is_ok());
    assert_eq!(
        (scratch.read("file").as_str(), scratch.mode("file")),
        ("one\ntwo\n", 0o600)
    );
    assert_eq!(
        errno(scratch.patch(PatchKind::Append, "missing", false, b"x")),
        ENOENT
    );
    assert_eq!(
        errno(scratch.patch(PatchKind::Append, "no/way", false, b"x")),
        ENOENT
    );
    assert_eq!(
        errno(scratch.patch(PatchKind::Append, "", false, b"x")),
        EISDIR
    );
    assert!(!scratch.at("no").exists());
}

#[test]
fn directories_links_and_removals() {
    let scratch = Scratch::new("rest");
    let directory =
        |name: &str, mode| scratch.with(PatchKind::Directory, name, mode, false, b"", b"");
    assert!(directory("a/b", Some(0o700)).is_ok() && directory("a/b", None).is_ok());
    assert_eq!(scratch.mode("a/b"), 0o700);
    // In place the mode that is asked for is given to what is there, too.
    assert!(directory("a/b", Some(0o711)).is_ok());
    assert_eq!(scratch.mode("a/b"), 0o711);
    let link = |replace| scratch.with(PatchKind::Symlink, "a/link", None, replace, b"b", b"");
    assert!(link(false).is_ok());
    assert_eq!(errno(link(false)), EEXIST);
    assert!(link(true).is_ok());
    assert!(directory("a/link", None).is_ok());
    fs::write(scratch.at("a/b/victim"), "stays").unwrap();
    let remove = |name: &str| scratch.patch(PatchKind::Remove, name, false, b"");
    assert!(remove("a/link").is_ok() && remove("a/nothing").is_ok() && remove("no/way").is_ok());
    assert_eq!(scratch.read("a/b/victim"), "stays");
    fs::write(scratch.at("file"), "").unwrap();
    assert_eq!(errno(directory("file", None)), ENOTDIR);
    // What is not there needs no removing, whatever keeps it from being there.
    assert!(remove("file/below").is_ok() && remove("file/way/below").is_ok());
    assert_eq!(scratch.read("file"), "");
    assert!(remove("a").is_ok() && !scratch.at("a").exists());
}

#[test]
fn no_tree_goes_where_no_file_goes() {
    let scratch = Scratch::new("not-kept");
    fs::create_dir(scratch.at("to")).unwrap();
    symlink("/proc", scratch.at("to/way")).unwrap();
    for name in ["file", "self"] {
        let mut bytes = Vec::new();
        entry(&mut bytes, b"", FileKind::Directory, 0o755, 0, b"");
        entry(&mut bytes, b"way", FileKind::Directory, 0o755, 0, b"");
        let path = format!("way/{name}");
        file(&mut bytes, path.as_bytes(), 0o644, b"x");
        let failed = scratch.patch(PatchKind::Tree, "to", true, &bytes);
        match failed.map_err(crate::files::failed::Failed::into_message) {
            Err(Message::FileFailed(failed)) => {
                assert_eq!(failed.message, "it is not part of the root file system");
                assert!(failed.path.ends_with(path.as_bytes()));
            }
            _ => panic!("{path} was written"),
        }
    }
}

#[test]
fn what_is_not_kept_is_refused() {
    for path in [
        "/proc/sys/x",
        "/sys/x",
        "/dev/x",
        "/.msb/x",
        "/etc/hosts",
        "/etc/hostname",
    ] {
        assert!(place::must_be_kept(Path::new(path)).is_err(), "{path}");
    }
    for path in [
        "/processes",
        "/device/x",
        "/etc/hosts.allow",
        "/etc",
        "/.msbx",
    ] {
        assert!(place::must_be_kept(Path::new(path)).is_ok(), "{path}");
    }
}
