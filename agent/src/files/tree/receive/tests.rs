use super::*;
use crate::files::link::{Outbox, Shared};
use crate::files::tree::records::{put_data, put_entry, put_hole, put_problem};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

/// A directory that goes with the test.
struct Place(std::path::PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("msb-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Place(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn entry(path: &[u8], kind: FileKind, size: u64, target: &[u8]) -> TreeEntry {
    TreeEntry {
        path: path.to_vec(),
        kind,
        mode: 0o751,
        uid: 0,
        gid: 0,
        mtime_ns: 1_000_000_000,
        size,
        target: target.to_vec(),
    }
}

fn file(out: &mut Vec<u8>, path: &[u8], contents: &[u8]) {
    let size = contents.len() as u64;
    put_entry(out, &entry(path, FileKind::File, size, b""));
    if size > 0 {
        put_data(out, size);
        out.extend(contents);
    }
}

fn directory(out: &mut Vec<u8>, path: &[u8]) {
    put_entry(out, &entry(path, FileKind::Directory, 0, b""));
}

fn put(to: &Path, bytes: &[u8]) -> Outcome<TreeDone> {
    let shared = Arc::new(Shared::new());
    shared.data(bytes);
    shared.end();
    let mut link = Link::new(1, shared, Arc::new(Outbox::new().unwrap()));
    let request = TreeReceive {
        path: to.as_os_str().as_bytes().to_vec(),
        keep_mode: true,
        keep_times: true,
        keep_owner: false,
    };
    receive(&request, &mut link)
}

/// The paths that were refused.
fn refused(done: &TreeDone) -> Vec<&[u8]> {
    done.problems.iter().map(|one| &one.path[..]).collect()
}

#[test]
fn a_tree_arrives_as_it_was_sent() {
    let place = Place::new("tree");
    let mut bytes = Vec::new();
    directory(&mut bytes, b"");
    directory(&mut bytes, b"a");
    file(&mut bytes, b"a/one", b"1");
    put_entry(&mut bytes, &entry(b"a/link", FileKind::Symlink, 0, b"one"));
    directory(&mut bytes, b"a/b");
    put_entry(
        &mut bytes,
        &entry(b"a/b/hole", FileKind::File, 1 << 20, b""),
    );
    put_hole(&mut bytes, 1 << 20);
    file(&mut bytes, b"a/b/empty", b"");
    file(&mut bytes, b"after", b"2");
    let to = place.0.join("to");
    let done = put(&to, &bytes).unwrap();
    assert_eq!(done.problem_count, 0);
    assert_eq!(fs::read(to.join("a/link")).unwrap(), b"1");
    assert_eq!(fs::read(to.join("after")).unwrap(), b"2");
    let hole = fs::metadata(to.join("a/b/hole")).unwrap();
    assert_eq!((hole.len(), hole.blocks()), (1 << 20, 0));
    for path in ["a", "a/b", "a/one", "a/b/empty", ""] {
        let metadata = fs::metadata(to.join(path)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o751, "{path}");
        assert_eq!(metadata.mtime(), 1, "{path}");
    }
}

#[test]
fn what_is_there_is_kept_or_replaced_and_links_are_not_followed() {
    let place = Place::new("merge");
    let outside = place.0.join("outside");
    let to = place.0.join("to");
    for path in [&outside, &to, &to.join("dir")] {
        fs::create_dir(path).unwrap();
    }
    fs::write(outside.join("kept"), "kept").unwrap();
    fs::write(to.join("old"), "old and longer").unwrap();
    fs::set_permissions(to.join("dir"), fs::Permissions::from_mode(0o1777)).unwrap();
    symlink(outside.join("kept"), to.join("file-link")).unwrap();
    symlink(&outside, to.join("dir-link")).unwrap();
    sys::set_owner(&to.join("dir-link"), Some(1000), Some(1000), false).unwrap();
    symlink(&outside, to.join("root-link")).unwrap();
    let mut bytes = Vec::new();
    directory(&mut bytes, b"");
    file(&mut bytes, b"old", b"new");
    file(&mut bytes, b"file-link", b"replaced");
    directory(&mut bytes, b"dir-link");
    file(&mut bytes, b"dir-link/out", b"out");
    directory(&mut bytes, b"root-link");
    file(&mut bytes, b"root-link/in", b"in");
    file(&mut bytes, b"dir", b"no file");
    directory(&mut bytes, b"old");
    directory(&mut bytes, b"dir");
    put_entry(&mut bytes, &entry(b"pipe", FileKind::Other, 0, b""));
    file(&mut bytes, b"last", b"last");
    let done = put(&to, &bytes).unwrap();
    let expected: [&[u8]; 5] = [b"dir-link", b"dir-link/out", b"dir", b"old", b"pipe"];
    assert_eq!(refused(&done), expected);
    assert_eq!(fs::read(to.join("old")).unwrap(), b"new");
    assert_eq!(fs::read(to.join("last")).unwrap(), b"last");
    assert_eq!(fs::read(outside.join("kept")).unwrap(), b"kept");
    assert!(fs::symlink_metadata(to.join("file-link"))
        .unwrap()
        .is_file());
    assert!(!outside.join("out").exists());
    // Root itself has made this one.
    assert_eq!(fs::read(outside.join("in")).unwrap(), b"in");
    let mode = fs::metadata(to.join("dir")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o1777);
}

#[test]
fn what_is_no_tree_writes_nothing_elsewhere() {
    let place = Place::new("hostile");
    let paths: [&[u8]; 7] = [
        b"..",
        b"../x",
        b"a/../../x",
        b"/x",
        b"a//x",
        b"./x",
        b"a\0b",
    ];
    for path in paths {
        let mut bytes = Vec::new();
        directory(&mut bytes, b"");
        file(&mut bytes, path, b"out");
        assert!(put(&place.0.join("to"), &bytes).is_err(), "{path:?}");
    }
    // No root; two roots; a file that is longer or shorter than it says.
    let mut bytes = Vec::new();
    file(&mut bytes, b"x", b"out");
    assert!(put(&place.0.join("to"), &bytes).is_err());
    let mut bytes = Vec::new();
    directory(&mut bytes, b"");
    directory(&mut bytes, b"");
    assert!(put(&place.0.join("to"), &bytes).is_err());
    for (size, length) in [(2, 3), (3, 2)] {
        let mut bytes = Vec::new();
        directory(&mut bytes, b"");
        put_entry(&mut bytes, &entry(b"cut", FileKind::File, size, b""));
        put_data(&mut bytes, length);
        bytes.extend(&b"abc"[..length as usize]);
        assert!(put(&place.0.join("to"), &bytes).is_err());
        assert!(!place.0.join("to/cut").exists());
    }
    let names: Vec<_> = fs::read_dir(&place.0).unwrap().flatten().collect();
    assert_eq!(names.len(), 1);
}

#[test]
fn the_root_may_be_a_file_or_a_link() {
    let place = Place::new("root");
    let mut bytes = Vec::new();
    file(&mut bytes, b"", b"contents");
    put(&place.0.join("file"), &bytes).unwrap();
    assert_eq!(fs::read(place.0.join("file")).unwrap(), b"contents");
    let mut bytes = Vec::new();
    put_entry(&mut bytes, &entry(b"", FileKind::Symlink, 0, b"file"));
    put(&place.0.join("link"), &bytes).unwrap();
    assert_eq!(fs::read(place.0.join("link")).unwrap(), b"contents");
    assert!(put(&place.0.join("missing/link"), &bytes).is_err());
}

#[test]
fn a_file_that_could_not_be_read_to_its_end_is_not_there_and_an_old_one_stays() {
    let place = Place::new("void");
    let to = place.0.join("to");
    fs::create_dir(&to).unwrap();
    fs::write(to.join("old"), "old").unwrap();
    let mut bytes = Vec::new();
    directory(&mut bytes, b"");
    for name in [&b"old"[..], b"new"] {
        put_entry(&mut bytes, &entry(name, FileKind::File, 9, b""));
        put_data(&mut bytes, 4);
        bytes.extend(b"some");
        // EIO where it comes from is none here: what follows is written.
        let failed = Err::<(), Error>(Error::from_raw_os_error(5)).during("read", "");
        let problem = failed.err().unwrap().into_problem(name);
        put_problem(&mut bytes, &problem);
    }
    file(&mut bytes, b"after", b"after");
    let done = put(&to, &bytes).unwrap();
    assert_eq!(refused(&done), [&b"old"[..], b"new"]);
    assert_eq!(fs::read(to.join("old")).unwrap(), b"old");
    assert_eq!(fs::read(to.join("after")).unwrap(), b"after");
    assert_eq!(fs::read_dir(&to).unwrap().count(), 2);
}

fn symlink_to(out: &mut Vec<u8>, path: &[u8], target: &[u8]) {
    put_entry(out, &entry(path, FileKind::Symlink, 0, target));
}

/// As the host encodes it.
fn further_name(out: &mut Vec<u8>, path: &[u8], target: &[u8]) {
    let length = 1 + 4 + path.len() + 4 + target.len();
    out.extend((length as u32).to_be_bytes());
    out.push(crate::generated::limits::RECORD_LINK as u8);
    crate::protocol::wire::put_bytes(out, path);
    crate::protocol::wire::put_bytes(out, target);
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

#[test]
fn a_file_gets_further_names_and_none_outside_of_the_tree() {
    let place = Place::new("receive-further-names");
    let root = place.0.join("root");
    fs::write(place.0.join("victim"), "outside").unwrap();
    let mut out = Vec::new();
    directory(&mut out, b"");
    directory(&mut out, b"a");
    file(&mut out, b"a/one", b"contents");
    file(&mut out, b"old", b"to be replaced");
    further_name(&mut out, b"two", b"a/one");
    further_name(&mut out, b"old", b"a/one");
    further_name(&mut out, b"old", b"two");
    further_name(&mut out, b"a", b"a/one");
    further_name(&mut out, b"none", b"a/missing");
    further_name(&mut out, b"none/below", b"a/one");
    let done = put(&root, &out).unwrap();
    let problems: Vec<i32> = done.problems.iter().map(|problem| problem.errno).collect();
    assert_eq!(problems, [EISDIR, sys::ENOENT, sys::ENOENT]);
    for name in ["two", "old"] {
        assert_eq!(inode(&root.join(name)), inode(&root.join("a/one")));
    }
    let mut names: Vec<_> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["a", "old", "two"]);

    for target in [&b"../victim"[..], b"/victim", b"", b"a/../../victim"] {
        let mut out = Vec::new();
        directory(&mut out, b"");
        further_name(&mut out, b"stolen", target);
        assert!(put(&root, &out).is_err());
    }
    assert!(!root.join("stolen").exists());
}

#[test]
fn a_link_that_a_tree_brings_leads_nowhere_in_it() {
    let place = Place::new("receive-own-links");
    let (root, outside) = (place.0.join("root"), place.0.join("outside"));
    fs::create_dir(&outside).unwrap();
    fs::create_dir(&root).unwrap();
    fs::write(outside.join("victim"), "outside").unwrap();
    // What was there before leads on: a system's /lib.
    fs::create_dir(place.0.join("usr")).unwrap();
    symlink("../usr", root.join("lib")).unwrap();
    let mut out = Vec::new();
    directory(&mut out, b"");
    symlink_to(&mut out, b"out", b"../outside");
    directory(&mut out, b"out");
    file(&mut out, b"out/victim", b"overwritten");
    further_name(&mut out, b"stolen", b"out/victim");
    further_name(&mut out, b"out/planted", b"lib/kept");
    file(&mut out, b"lib/kept", b"kept");
    let done = put(&root, &out).unwrap();
    assert_eq!(done.problem_count, 4);
    assert_eq!(fs::read(outside.join("victim")).unwrap(), b"outside");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert!(!root.join("stolen").exists());
    let root_owns = fs::symlink_metadata(root.join("lib")).unwrap().uid() == 0;
    assert_eq!(place.0.join("usr/kept").exists(), root_owns);
}
