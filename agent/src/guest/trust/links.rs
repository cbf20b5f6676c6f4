//! The names by which OpenSSL finds a certificate in a directory: its subject's number, a dot, and 0 or the next one that is free
//! (openssl-rehash(1)). A link may lead to a file of several certificates.

use super::{pem, subject};
use crate::guest::places;
use std::fs;
use std::io::Result;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// So many of one number are looked at.
const MOST_ALIKE: usize = 64;

/// Makes links to `target`, a name in this directory, for certificates that it holds. What is no certificate gets none.
pub fn add(directory: &str, target: &str, certificates: &[pem::Base64]) -> Result<()> {
    if !places::is_directory(directory) {
        return Ok(());
    }
    for number in numbers(certificates) {
        for path in paths(directory, &number) {
            if leads_to(&path, target) {
                break;
            }
            if fs::symlink_metadata(&path).is_err() {
                symlink(target, &path)?;
                break;
            }
        }
    }
    Ok(())
}

/// Removes them, and closes the gaps, at which OpenSSL would stop looking.
pub fn remove(directory: &str, target: &str, certificates: &[pem::Base64]) -> Result<()> {
    if !places::is_directory(directory) {
        return Ok(());
    }
    for number in numbers(certificates) {
        let there: Vec<PathBuf> = paths(directory, &number)
            .take_while(|path| fs::symlink_metadata(path).is_ok())
            .collect();
        if let Some(ours) = there.iter().find(|path| leads_to(path, target)) {
            fs::remove_file(ours)?;
            match there.last() {
                Some(last) if last != ours => fs::rename(last, ours)?,
                _ => {}
            }
        }
    }
    Ok(())
}

fn numbers(certificates: &[pem::Base64]) -> impl Iterator<Item = String> + '_ {
    certificates
        .iter()
        .filter_map(|base64| subject::hash(&pem::decode(base64)?))
}

fn paths<'a>(directory: &'a str, number: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
    (0..MOST_ALIKE).map(move |index| Path::new(directory).join(format!("{number}.{index}")))
}

fn leads_to(path: &Path, target: &str) -> bool {
    fs::read_link(path).map_or(false, |found| found == Path::new(target))
}
