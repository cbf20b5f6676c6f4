use super::*;
use crate::files::link::{Outbox, Shared};
use crate::generated::messages::FileKind;
use std::sync::Arc;

fn link(pieces: &[&[u8]]) -> Link {
    let shared = Arc::new(Shared::new());
    for piece in pieces {
        shared.data(piece);
    }
    shared.end();
    Link::new(1, shared, Arc::new(Outbox::new().unwrap()))
}

fn entry(path: &[u8], size: u64) -> TreeEntry {
    TreeEntry {
        path: path.to_vec(),
        kind: FileKind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime_ns: -5,
        size,
        target: Vec::new(),
    }
}

fn sample() -> Vec<u8> {
    let mut bytes = Vec::new();
    put_entry(&mut bytes, &entry(b"a\xff", 9));
    put_data(&mut bytes, 4);
    bytes.extend(b"data");
    put_hole(&mut bytes, 5);
    bytes
}

/// The records, with their data as text; or what is wrong.
fn read(pieces: &[&[u8]]) -> Result<Vec<String>> {
    let mut link = link(pieces);
    let mut records = Records::new();
    let mut found = Vec::new();
    while let Some(record) = records.next(&mut link)? {
        found.push(match record {
            Record::Entry(entry) => format!("{:?} {}", entry.path, entry.size),
            Record::Hole(length) => format!("hole {length}"),
            Record::Problem(problem) => problem.message,
            Record::Link { path, target } => format!("{path:?} {target:?}"),
            Record::Data(mut left) => {
                let mut text = Vec::new();
                while left > 0 {
                    let bytes = records.data(&mut link, left)?;
                    left -= bytes.len() as u64;
                    text.extend(bytes);
                }
                String::from_utf8_lossy(&text).into_owned()
            }
        });
    }
    Ok(found)
}

#[test]
fn frames_may_cut_records_anywhere() {
    let bytes = sample();
    let whole = read(&[&bytes]).unwrap();
    assert_eq!(whole, ["[97, 255] 9", "data", "hole 5"]);
    for at in 1..bytes.len() {
        assert_eq!(read(&[&bytes[..at], &bytes[at..]]).unwrap(), whole);
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read(&single).unwrap(), whole);
}

#[test]
fn what_is_cut_off_or_damaged_is_an_error_and_nothing_worse() {
    let bytes = sample();
    let boundaries = [0, bytes.len() - 4 - 9, bytes.len()];
    for end in 0..bytes.len() {
        let result = read(&[&bytes[..end]]);
        // At the end of a record nothing shows that another one was to come.
        assert!(result.is_err() || boundaries.contains(&end) || end == bytes.len() - 13 - 17);
    }
    // xorshift32 (Marsaglia, "Xorshift RNGs", 2003).
    let mut state = 20_240_229_u32;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize
    };
    let (mut good, mut bad) = (0, 0);
    for _ in 0..20_000 {
        let mut damaged = bytes.clone();
        for _ in 0..=random() % 3 {
            let at = random() % damaged.len();
            damaged[at] = match random() % 3 {
                0 => damaged[at] ^ (1 << (random() % 8)),
                1 => 0,
                _ => 255,
            };
        }
        // Large numbers are asked for by what is sent, and must not be believed before the bytes are there.
        match read(&[&damaged]) {
            Ok(_) => good += 1,
            Err(_) => bad += 1,
        }
    }
    assert!(good > 0 && bad > 0, "{good} good, {bad} bad");
}
