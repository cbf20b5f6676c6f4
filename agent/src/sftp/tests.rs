//! Requests of a client, on real files.

use super::packet::{answer, ask, status, Fields};
use super::serve_on;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("agent-sftp-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Builds what a client sends.
#[derive(Default)]
struct Client {
    bytes: Vec<u8>,
}

impl Client {
    fn begun() -> Client {
        let mut client = Client::default();
        client.send(ask::INIT, |bytes| {
            bytes.extend_from_slice(&3u32.to_be_bytes())
        });
        client
    }

    fn send(&mut self, kind: u8, build: impl FnOnce(&mut Vec<u8>)) {
        let mut packet = vec![kind];
        build(&mut packet);
        self.bytes
            .extend_from_slice(&(packet.len() as u32).to_be_bytes());
        self.bytes.extend_from_slice(&packet);
    }

    fn ask(&mut self, kind: u8, build: impl FnOnce(&mut Vec<u8>)) {
        self.send(kind, |bytes| {
            bytes.extend_from_slice(&9u32.to_be_bytes());
            build(bytes);
        });
    }

    /// What is answered: kind and contents, without the numbers of requests.
    fn answers(&self) -> Vec<(u8, Vec<u8>)> {
        let mut output = Vec::new();
        serve_on(&mut &self.bytes[..], &mut output).unwrap();
        let mut found = Vec::new();
        let mut rest = &output[..];
        while !rest.is_empty() {
            let length = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
            let skip = if rest[4] == answer::VERSION { 5 } else { 9 };
            found.push((rest[4], rest[skip..4 + length].to_vec()));
            rest = &rest[4 + length..];
        }
        found.remove(0);
        found
    }
}

fn string(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend_from_slice(&(value.len() as u32).to_be_bytes());
    bytes.extend_from_slice(value);
}

fn path(bytes: &mut Vec<u8>, value: &Path) {
    string(bytes, value.as_os_str().as_bytes());
}

fn number(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend_from_slice(&value.to_be_bytes());
}

fn offset(bytes: &mut Vec<u8>, value: u64) {
    bytes.extend_from_slice(&value.to_be_bytes());
}

/// The first handle that a server gives out.
const FIRST: [u8; 4] = [0; 4];

fn code((kind, contents): &(u8, Vec<u8>)) -> u32 {
    assert_eq!(*kind, answer::STATUS);
    Fields::new(contents).u32().unwrap()
}

#[test]
fn a_file_is_written_anywhere_and_read_back() {
    let scratch = Scratch::new("file");
    let mut client = Client::begun();
    client.ask(ask::OPEN, |bytes| {
        path(bytes, &scratch.at("f"));
        number(bytes, 1 | 2 | 8);
        number(bytes, 4);
        number(bytes, 0o600);
    });
    for (at, data) in [(4, "late"), (0, "soon")] {
        client.ask(ask::WRITE, |bytes| {
            string(bytes, &FIRST);
            offset(bytes, at);
            string(bytes, data.as_bytes());
        });
    }
    for at in [2, 8] {
        client.ask(ask::READ, |bytes| {
            string(bytes, &FIRST);
            offset(bytes, at);
            number(bytes, u32::MAX);
        });
    }
    client.ask(ask::CLOSE, |bytes| string(bytes, &FIRST));
    client.ask(ask::CLOSE, |bytes| string(bytes, &FIRST));
    let answers = client.answers();
    assert_eq!(
        answers[0],
        (answer::HANDLE, [&[0, 0, 0, 4][..], &FIRST].concat())
    );
    assert_eq!(
        (code(&answers[1]), code(&answers[2])),
        (status::OK, status::OK)
    );
    assert_eq!(answers[3], (answer::DATA, b"\0\0\0\x06onlate".to_vec()));
    assert_eq!(code(&answers[4]), status::EOF);
    assert_eq!(code(&answers[5]), status::OK);
    assert_eq!(code(&answers[6]), status::BAD_MESSAGE);
    assert_eq!(fs::read(scratch.at("f")).unwrap(), b"soonlate");
}

#[test]
fn a_rename_of_the_draft_replaces_nothing_and_the_other_one_does() {
    let scratch = Scratch::new("rename");
    for name in ["a", "b"] {
        fs::write(scratch.at(name), name).unwrap();
    }
    let both = |bytes: &mut Vec<u8>| {
        path(bytes, &scratch.at("a"));
        path(bytes, &scratch.at("b"));
    };
    let mut client = Client::begun();
    client.ask(ask::RENAME, both);
    client.ask(ask::EXTENDED, |bytes| {
        string(bytes, b"posix-rename@openssh.com");
        both(bytes);
    });
    client.ask(ask::RENAME, both);
    let answers = client.answers();
    let codes: Vec<u32> = answers.iter().map(code).collect();
    assert_eq!(codes, [status::FAILURE, status::OK, status::NO_SUCH_FILE]);
    assert_eq!(fs::read(scratch.at("b")).unwrap(), b"a");
}

#[test]
fn a_directory_is_listed_once() {
    let scratch = Scratch::new("list");
    fs::write(scratch.at("one"), "").unwrap();
    let mut client = Client::begun();
    client.ask(ask::OPENDIR, |bytes| path(bytes, &scratch.0));
    client.ask(ask::READDIR, |bytes| string(bytes, &FIRST));
    client.ask(ask::READDIR, |bytes| string(bytes, &FIRST));
    let answers = client.answers();
    let mut fields = Fields::new(&answers[1].1);
    assert_eq!((answers[1].0, fields.u32().unwrap()), (answer::NAME, 1));
    assert_eq!(fields.string().unwrap(), b"one");
    assert!(fields.string().unwrap().ends_with(b" one"));
    assert_eq!(code(&answers[2]), status::EOF);
}

#[test]
fn a_real_path_may_lack_its_last_part_only() {
    let scratch = Scratch::new("real");
    let real = fs::canonicalize(&scratch.0).unwrap();
    let mut client = Client::begun();
    for name in ["new", "none/new"] {
        client.ask(ask::REALPATH, |bytes| path(bytes, &scratch.at(name)));
    }
    let answers = client.answers();
    let mut fields = Fields::new(&answers[0].1);
    assert_eq!(fields.u32().unwrap(), 1);
    assert_eq!(
        fields.string().unwrap(),
        real.join("new").as_os_str().as_bytes()
    );
    assert_eq!(code(&answers[1]), status::NO_SUCH_FILE);
}

#[test]
fn no_more_handles_than_promised() {
    let mut client = Client::begun();
    for _ in 0..=super::handles::MOST {
        client.ask(ask::OPENDIR, |bytes| string(bytes, b"/proc/self"));
    }
    let answers = client.answers();
    assert_eq!(code(&answers[super::handles::MOST]), status::FAILURE);
}

#[test]
fn what_is_no_packet_ends_it() {
    let requests: [&[u8]; 4] = [
        &[0xff; 8],
        &[0, 0, 0, 0],
        // Before INIT.
        &[0, 0, 0, 5, ask::STAT, 0, 0, 0, 1],
        // INIT twice.
        &[0, 0, 0, 5, 1, 0, 0, 0, 3, 0, 0, 0, 5, 1, 0, 0, 0, 3],
    ];
    for request in requests {
        assert!(serve_on(&mut &request[..], &mut Vec::new()).is_err());
    }
}

#[test]
fn a_field_that_is_cut_off_is_an_answer() {
    let mut client = Client::begun();
    client.ask(ask::STAT, |bytes| number(bytes, 1000));
    assert_eq!(code(&client.answers()[0]), status::BAD_MESSAGE);
}
