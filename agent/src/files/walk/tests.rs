use super::*;
use crate::files::attributes;
use crate::files::link::{Outbox, Post, Shared};
use crate::files::remove::remove_tree;
use crate::files::tree::records::{Record, Records, DATA_RECORD};
use crate::files::tree::send::send;
use crate::generated::limits::INITIAL_CREDIT;
use crate::generated::messages::TreeSend;
use crate::protocol::frame::FrameDecoder;
use crate::sys::{EFBIG, EINVAL, ENOTDIR};
use std::sync::Arc;

fn link() -> Link {
    Link::new(1, Arc::new(Shared::new()), Arc::new(Outbox::new().unwrap()))
}

/// Makes a chain of directories with two files beside each.
fn deep(name: &str, depth: usize) -> PathBuf {
    let root = std::env::temp_dir().join(format!("msb-{name}-{}", std::process::id()));
    fs::create_dir(&root).unwrap();
    let mut directory = Directory::open(&root).unwrap();
    for _ in 0..depth {
        for file in ["a", "z"] {
            fs::write(directory.at(OsStr::new(file)), "x").unwrap();
        }
        let below = directory.at(OsStr::new("d"));
        fs::create_dir(&below).unwrap();
        directory = Directory::open(&below).unwrap();
    }
    root
}

fn listing(path: &Path) -> TreeSend {
    TreeSend {
        path: path.as_os_str().as_bytes().to_vec(),
        follow_root: false,
        follow_all: false,
        contents: false,
        depth: None,
    }
}

#[test]
fn a_deep_way_holds_few_directories_and_comes_back_to_all_of_them() {
    let root = deep("way", 200);
    let mut way = Way::new();
    way.enter(Directory::open(&root).unwrap(), OsStr::new(""))
        .unwrap();
    let (mut files, mut deepest) = (0, 0);
    while way.depth() > 0 {
        let held = way.levels.iter().filter(|level| level.directory.is_some());
        assert!(held.count() <= MOST_HELD + 1);
        match way.next(&link()).unwrap() {
            None => drop(way.leave()),
            Some(name) if name == "d" => {
                let at = way.directory().unwrap().at(&name);
                way.enter(Directory::open_itself(&at).unwrap(), &name)
                    .unwrap();
                deepest = deepest.max(way.depth());
            }
            Some(_) => files += 1,
        }
    }
    assert_eq!((files, deepest), (400, 201));
    assert!(way.path().is_empty());
    remove_tree(&root, &link()).unwrap();
    assert!(!root.exists());
}

#[test]
fn a_directory_that_was_put_elsewhere_does_not_lead_out_of_the_tree() {
    let root = deep("moved", 100);
    let mut way = Way::new();
    way.enter(Directory::open(&root).unwrap(), OsStr::new(""))
        .unwrap();
    while way.depth() < 60 {
        let at = way.directory().unwrap().at(OsStr::new("d"));
        way.enter(Directory::open_itself(&at).unwrap(), OsStr::new("d"))
            .unwrap();
    }
    // The directory at depth 2 goes out of the one that is let go.
    let outside = root.with_extension("outside");
    fs::rename(root.join("d/d"), &outside).unwrap();
    while way.depth() > 2 {
        way.leave();
    }
    assert_eq!(
        way.directory().err().map(|e| e.raw_os_error()),
        Some(Some(ESTALE))
    );
    assert!(way.next(&link()).is_err());
    for path in [root, outside] {
        remove_tree(&path, &link()).unwrap();
    }
}

/// Takes what was sent.
fn take_data(outbox: &Outbox, bytes: &mut Vec<u8>) {
    while let Some((_, post)) = outbox.take() {
        append_data(post, bytes);
    }
}

/// A link on which that comes, and nothing more.
fn arrived(bytes: &[u8]) -> Link {
    let shared = Arc::new(Shared::new());
    shared.data(bytes);
    shared.end();
    Link::new(1, shared, Arc::new(Outbox::new().unwrap()))
}

#[test]
fn what_is_too_deep_to_be_sent_is_a_problem_and_the_rest_is_sent() {
    let root = deep("sent", 600);
    let shared = Arc::new(Shared::new());
    shared.grant(16 << 20);
    let outbox = Arc::new(Outbox::new().unwrap());
    let link = Link::new(1, shared, Arc::clone(&outbox));
    let done = send(&listing(&root), &link).unwrap();
    assert_eq!(done.problem_count, 1);
    assert!(done.problems[0].message.contains("deeper than 512"));
    let mut bytes = Vec::new();
    take_data(&outbox, &mut bytes);
    let (mut records, mut link, mut entries) = (Records::new(), arrived(&bytes), 0);
    while let Some(record) = records.next(&mut link).unwrap() {
        entries += matches!(record, Record::Entry(_)) as usize;
    }
    // Three in each of the directories that are entered, and the root.
    assert_eq!(entries, 3 * 512 + 1);
    remove_tree(&root, &link).unwrap();
}

/// Appends the data of a post, without the frames in which it may be.
fn append_data(post: Post, bytes: &mut Vec<u8>) {
    match post {
        Post::Data(more) => bytes.extend(more),
        Post::Frames(frames, _) => {
            let mut decoder = FrameDecoder::default();
            decoder.push(&frames);
            while let Some(frame) = decoder.next().unwrap() {
                bytes.extend(frame.payload);
            }
        }
        _ => {}
    }
}

#[test]
fn a_file_that_becomes_shorter_ends_with_a_problem_and_no_zeros() {
    let root = deep("shorter", 0);
    let name = root.join("file");
    fs::write(&name, vec![1; 2 << 20]).unwrap();
    let (shared, outbox) = (Arc::new(Shared::new()), Arc::new(Outbox::new().unwrap()));
    let link = Link::new(1, Arc::clone(&shared), Arc::clone(&outbox));
    let request = TreeSend {
        contents: true,
        ..listing(&root)
    };
    let sending = std::thread::spawn(move || send(&request, &link).unwrap());
    // It has no credit for more than the beginning, and goes no further when what is left is not enough for a record.
    let mut bytes = Vec::new();
    while bytes.len() < INITIAL_CREDIT - DATA_RECORD {
        match outbox.take() {
            Some((_, post)) => append_data(post, &mut bytes),
            None => std::thread::yield_now(),
        }
    }
    let file = OpenOptions::new().write(true).open(&name).unwrap();
    file.set_len(1 << 20).unwrap();
    shared.grant(16 << 20);
    let done = sending.join().unwrap();
    assert_eq!(done.problem_count, 1);
    assert!(done.problems[0].message.contains("shorter"));
    take_data(&outbox, &mut bytes);
    let mut link = arrived(&bytes);
    let (mut records, mut sum, mut last) = (Records::new(), 0, None);
    while let Some(record) = records.next(&mut link).unwrap() {
        if let Record::Data(mut length) = record {
            sum += length;
            while length > 0 {
                let piece = records.data(&mut link, length).unwrap();
                assert!(piece.iter().all(|byte| *byte == 1));
                length -= piece.len() as u64;
            }
        }
        last = Some(record);
    }
    assert_eq!(sum, 1 << 20);
    assert!(matches!(last, Some(Record::Problem(_))));
    fs::remove_dir_all(root).unwrap();
}

#[test]
fn a_file_without_an_end_that_says_it_is_small_is_not_read_into_memory() {
    // 8 bytes for each page of an address space.
    let request = TreeSend {
        contents: true,
        ..listing(Path::new("/proc/self/pagemap"))
    };
    assert_eq!(send(&request, &link()).unwrap_err().errno(), EFBIG);
}

#[test]
fn a_tree_of_any_depth_is_removed() {
    let root = deep("removed", 3000);
    remove_tree(&root, &link()).unwrap();
    assert!(!root.exists());
}

#[test]
fn what_a_link_leads_to_is_not_removed_by_the_links_name() {
    let root = deep("slash", 1);
    std::os::unix::fs::symlink("d", root.join("link")).unwrap();
    fs::write(root.join("d/kept"), "kept").unwrap();
    for (name, errno) in [
        ("link/", ENOTDIR),
        ("link/.", ENOTDIR),
        ("link", ENOTDIR),
        ("d/..", EINVAL),
        ("link/..", EINVAL),
    ] {
        let failed = remove_tree(&root.join(name), &link()).expect_err(name);
        assert_eq!(failed.errno(), errno, "{name}");
    }
    assert!(root.join("d/kept").exists() && root.join("link").exists());
    remove_tree(&root.join("d//"), &link()).unwrap();
    assert!(!root.join("d").exists());
    remove_tree(&root, &link()).unwrap();
}

#[test]
fn directories_and_links_have_the_size_that_they_have() {
    let root = deep("sizes", 0);
    std::os::unix::fs::symlink("/four/five", root.join("link")).unwrap();
    let of_link = attributes::stat(&root.join("link"), false).unwrap();
    assert_eq!(of_link.entry.size, 10);
    let of_root = attributes::stat(&root, false).unwrap();
    assert_eq!(of_root.entry.size, fs::metadata(&root).unwrap().len());
    remove_tree(&root, &link()).unwrap();
}
