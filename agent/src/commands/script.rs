//! Why a script that is there could not be started: execve(2) says ENOENT of its interpreter as it does of itself.

use crate::sys::ENOENT;
use std::fs::{metadata, File};
use std::io::Read;
use std::path::Path;

/// Bytes; what the kernel reads of a file to find its interpreter (BINPRM_BUF_SIZE of linux/binfmts.h).
const HEAD_BYTES: u64 = 256;

/// What is wrong with the first line of the program that `candidates` lead to; None when there is no such file, or it is no
/// script. `directory` is what relative candidates begin at. `errno` is what the start failed with.
pub fn trouble<'a>(
    errno: i32,
    directory: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    if errno != ENOENT {
        return None;
    }
    candidates
        .into_iter()
        .find_map(|path| first_line(&Path::new(directory).join(path)))
        .and_then(|line| explain(&line))
}

/// The start of a regular file, up to its first line feed; None when there is none to be read.
fn first_line(path: &Path) -> Option<Vec<u8>> {
    // Opening a pipe would wait for its writer.
    if !metadata(path).ok()?.is_file() {
        return None;
    }
    let mut head = Vec::new();
    File::open(path)
        .ok()?
        .take(HEAD_BYTES)
        .read_to_end(&mut head)
        .ok()?;
    Some(head.split(|byte| *byte == b'\n').next()?.to_vec())
}

fn explain(line: &[u8]) -> Option<String> {
    let rest = line.strip_prefix(b"#!")?;
    if line.ends_with(b"\r") {
        return Some(String::from(
            "its first line ends in CRLF, so that the name of its interpreter ends in a carriage return",
        ));
    }
    let text = String::from_utf8_lossy(rest);
    let interpreter = text.split_ascii_whitespace().next()?;
    Some(format!("its interpreter {interpreter} is not there"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::EACCES;
    use std::fs::{create_dir_all, remove_dir_all, write};

    #[test]
    fn tells_what_is_wrong_with_the_first_line() {
        let crlf = "its first line ends in CRLF, so that the name of its interpreter ends in a carriage return";
        assert_eq!(explain(b"#!/bin/sh\r").as_deref(), Some(crlf));
        assert_eq!(explain(b"#!/bin/sh -e\r").as_deref(), Some(crlf));
        assert_eq!(
            explain(b"#! /usr/bin/perl -w").as_deref(),
            Some("its interpreter /usr/bin/perl is not there")
        );
        assert_eq!(explain(b"#!"), None);
        assert_eq!(explain(b"\x7fELF\r"), None);
        assert_eq!(explain(b""), None);
    }

    #[test]
    fn looks_at_the_file_that_was_found_and_only_where_something_was_missing() {
        let directory = std::env::temp_dir().join(format!("msb-script-{}", std::process::id()));
        create_dir_all(directory.join("folder")).unwrap();
        write(directory.join("windows"), "#!/bin/sh\r\necho hi\r\n").unwrap();
        write(directory.join("binary"), [0u8; 1000]).unwrap();
        let base = directory.to_str().unwrap();
        let ask = |errno, candidates: &[&str]| trouble(errno, base, candidates.iter().copied());
        assert!(ask(ENOENT, &["missing", "folder", "windows"]).is_some());
        assert!(ask(ENOENT, &["./windows"]).unwrap().contains("CRLF"));
        assert_eq!(ask(ENOENT, &["missing", "folder"]), None);
        assert_eq!(ask(ENOENT, &["binary", "windows"]), None);
        assert_eq!(ask(EACCES, &["windows"]), None);
        remove_dir_all(directory).unwrap();
    }
}
