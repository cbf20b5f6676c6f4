//! What a file is sent in, and when what has arrived is told of.

use super::*;
use crate::protocol::frame::FrameDecoder;
use std::io::{Seek, SeekFrom, Write};

fn file_of(bytes: &[u8]) -> File {
    let path = std::env::temp_dir().join(format!(
        "link-test-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(path).unwrap();
    file.write_all(bytes).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

fn link() -> (Link, Arc<Shared>, Arc<Outbox>) {
    let (shared, outbox) = (Arc::new(Shared::new()), Arc::new(Outbox::new().unwrap()));
    let link = Link::new(7, Arc::clone(&shared), Arc::clone(&outbox));
    (link, shared, outbox)
}

/// The payloads of the frames that were posted, and how long all of it is.
fn sent(outbox: &Outbox) -> (Vec<Vec<u8>>, usize) {
    let mut decoder = FrameDecoder::default();
    let (mut payloads, mut length) = (Vec::new(), 0);
    while let Some((stream, post)) = outbox.take() {
        let (frames, told) = match post {
            Post::Frames(frames, bytes) => (frames, bytes),
            _ => panic!("no frames"),
        };
        assert_eq!(stream, 7);
        length += frames.len();
        decoder.push(&frames);
        let mut bytes = 0;
        while let Some(frame) = decoder.next().unwrap() {
            assert_eq!((frame.stream, frame.kind), (7, FrameKind::Data));
            bytes += frame.payload.len();
            payloads.push(frame.payload.to_vec());
        }
        assert_eq!(bytes, told);
    }
    (payloads, length)
}

fn head(count: u64) -> Vec<u8> {
    count.to_be_bytes().to_vec()
}

#[test]
fn a_large_file_fills_whole_writes_to_the_port() {
    let content: Vec<u8> = (0..1_000_000).map(|at| (at / 3) as u8).collect();
    let (link, _, outbox) = link();
    let count = link.send_from(&file_of(&content), u64::MAX, head).unwrap();
    let (payloads, length) = sent(&outbox);
    assert_eq!(length, FRAMES_BYTES);
    assert_eq!(payloads[0], head(count as u64));
    assert!(payloads[1..].concat() == content[..count]);
}

#[test]
fn no_more_is_read_than_there_is_credit_for_and_none_is_lost() {
    let (link, shared, outbox) = link();
    let file = file_of(&vec![1; 2 * INITIAL_CREDIT]);
    let mut bytes = 0;
    while locked(&shared.state).credit > 8 {
        bytes += link.send_from(&file, u64::MAX, head).unwrap() + 8;
    }
    assert!(bytes <= INITIAL_CREDIT && bytes > INITIAL_CREDIT - 16);
    let (payloads, _) = sent(&outbox);
    assert_eq!(payloads.concat().len(), bytes);
    shared.grant(9);
    let rest = INITIAL_CREDIT - bytes;
    assert_eq!(link.send_from(&file, u64::MAX, head).unwrap(), rest + 1);
}

#[test]
fn a_file_that_ends_early_says_how_much_came_and_keeps_the_credit_of_the_rest() {
    let (link, shared, outbox) = link();
    let file = file_of(&[5; 100]);
    assert_eq!(link.send_from(&file, 4096, head).unwrap(), 100);
    assert_eq!(link.send_from(&file, 4096, head).unwrap(), 0);
    assert_eq!(locked(&shared.state).credit, INITIAL_CREDIT - 108);
    assert_eq!(sent(&outbox).0, vec![head(100), vec![5; 100]]);
}

#[test]
fn what_was_taken_is_told_in_portions_and_when_there_is_nothing_left() {
    let (mut link, shared, outbox) = link();
    let told = || match outbox.take() {
        Some((_, Post::Consumed(bytes))) => bytes,
        None => 0,
        Some(_) => panic!("another post"),
    };
    for _ in 0..4 {
        shared.data(&[0; 50_000]);
    }
    shared.end();
    let mut all = 0;
    for expected in [0, 0, 0, 150_000] {
        link.receive().unwrap().unwrap();
        let bytes = told();
        assert_eq!(bytes, expected);
        all += bytes;
    }
    assert!(link.receive().unwrap().is_none());
    assert_eq!(all + told(), 200_000);
}

#[test]
fn nobody_goes_on_who_is_not_wanted_any_more() {
    let (mut link, shared, _) = link();
    shared.data(&[0; 10]);
    shared.abort(Failure {
        code: String::new(),
        message: String::new(),
        hint: String::new(),
        details: String::new(),
    });
    assert_eq!(
        crate::sys::errno_of(&link.receive().unwrap_err()),
        ECANCELED
    );
    let file = file_of(&[5; 100]);
    assert!(link.send_from(&file, 100, head).is_err());
}

#[test]
fn waits_for_a_wish_only_so_long() {
    let shared = Arc::new(Shared::new());
    let link = Link::new(7, Arc::clone(&shared), Arc::new(Outbox::new().unwrap()));
    assert!(!link.wanted_within(Duration::from_millis(1)).unwrap());
    shared.want();
    assert!(link.wanted_within(Duration::from_secs(60)).unwrap());
    let later = Arc::clone(&shared);
    let other = std::thread::spawn(move || later.want());
    assert!(link.wanted_within(Duration::from_secs(60)).unwrap());
    other.join().unwrap();
    shared.abort(Failure {
        code: String::new(),
        message: String::new(),
        hint: String::new(),
        details: String::new(),
    });
    assert!(link.wanted_within(Duration::from_secs(60)).is_err());
}
