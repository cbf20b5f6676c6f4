//! Brings into memory what a first command needs, so that a guest made from the memory of this one finds it there and does
//! not have to wait for a disk. Nothing is run: programs start only in a guest that has randomness of its own.

use crate::commands::lookup::DEFAULT_PATH;
use crate::commands::users::{self, GROUP, PASSWD};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Bytes of one file; memory that a program takes in every template.
const LONGEST: u64 = 16 << 20;
/// elf(5)
const PT_INTERP: u32 = 3;

/// What the dynamic loader of the GNU C library reads for every program (ld.so(8)). The first is hardly ever there, and the
/// kernel remembers that too.
const LOADER_FILES: [&str; 2] = ["/etc/ld.so.preload", "/etc/ld.so.cache"];

/// Reads what is needed to start any program: where programs are, who may run them, which libraries there are.
pub fn read_directories_around() {
    for directory in DEFAULT_PATH.split(':') {
        if let Ok(entries) = fs::read_dir(directory) {
            entries.for_each(drop);
        }
    }
    for database in [PASSWD, GROUP] {
        let _ = users::read_database(database);
    }
    for file in LOADER_FILES {
        read_once(Path::new(file), &mut Vec::new());
    }
}

/// Reads each program, its dynamic loader and the C library beside that. What cannot be read is passed over.
pub fn read_programs(programs: &[String]) {
    let mut done: Vec<PathBuf> = Vec::new();
    for program in programs {
        let loader = match read_once(Path::new(program), &mut done) {
            Some(head) => interpreter(&head),
            None => None,
        };
        if let Some(loader) = loader {
            read_once(&loader, &mut done);
            if let Some(directory) = fs::canonicalize(&loader)
                .ok()
                .as_deref()
                .and_then(Path::parent)
            {
                read_once(&directory.join("libc.so.6"), &mut done);
            }
        }
    }
}

/// Reads a file to its end, unless that was done. Returns its beginning.
fn read_once(path: &Path, done: &mut Vec<PathBuf>) -> Option<Vec<u8>> {
    let real = fs::canonicalize(path).ok()?;
    // What the kernel shows as files may have no end, and a read of it may wait.
    if ["/proc", "/sys", "/dev"]
        .iter()
        .any(|views| real.starts_with(views))
    {
        return None;
    }
    if done.contains(&real) || !fs::metadata(&real).ok()?.is_file() {
        return None;
    }
    let mut file = File::open(path).ok()?.take(LONGEST);
    let mut head = Vec::new();
    file.by_ref().take(4096).read_to_end(&mut head).ok()?;
    io::copy(&mut file, &mut io::sink()).ok()?;
    done.push(real);
    Some(head)
}

/// The dynamic loader that a 64-bit little-endian ELF file names in its first bytes.
fn interpreter(head: &[u8]) -> Option<PathBuf> {
    let number = |at: usize, length: usize| {
        let bytes = head.get(at..at.checked_add(length)?)?;
        let number = bytes
            .iter()
            .rev()
            .fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        usize::try_from(number).ok()
    };
    if head.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for index in 0..count {
        let header = table.checked_add(index.checked_mul(size)?)?;
        if number(header, 4)? as u32 == PT_INTERP {
            let (offset, length) = (number(header + 8, 8)?, number(header + 32, 8)?);
            let name = head.get(offset..offset.checked_add(length)?)?;
            let name = std::str::from_utf8(name).ok()?;
            return Some(PathBuf::from(name.trim_end_matches('\0')));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_loader_of_this_program() {
        let mut head = Vec::new();
        let shell = File::open("/bin/sh").unwrap();
        shell.take(4096).read_to_end(&mut head).unwrap();
        let loader = interpreter(&head);
        assert!(loader.map_or(true, |loader| loader.is_absolute()));
    }

    #[test]
    fn garbage_has_no_loader() {
        let mut head = b"\x7fELF\x02\x01".to_vec();
        assert_eq!(interpreter(&head), None);
        head.resize(4096, 0xff);
        assert_eq!(interpreter(&head), None);
        assert_eq!(interpreter(b"#!/bin/sh"), None);
    }

    #[test]
    fn what_is_not_there_is_passed_over() {
        read_programs(&[
            String::from("/nonexistent"),
            String::from("/proc"),
            String::from("/bin/sh"),
        ]);
    }
}
