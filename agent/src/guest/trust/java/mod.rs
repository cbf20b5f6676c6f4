//! Java's stores of an image, wherever its Java is from.

mod jks;
mod pkcs12;

use super::{pem, publish, Group, AUTHORITY, HOST_ROOTS, OWN};
use crate::root::Owner;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Debian's and Fedora's, which all their Javas have links to.
const SHARED: [&str; 2] = [
    "/etc/ssl/certs/java/cacerts",
    "/etc/pki/ca-trust/extracted/java/cacerts",
];
/// Directories of Javas.
const HOMES: [&str; 4] = ["/usr/lib/jvm", "/opt/java", "/opt", "/usr/local"];
const INSIDE: [&str; 2] = ["lib/security/cacerts", "jre/lib/security/cacerts"];

/// A certificate and its name in a store, in small letters.
type Named = (String, Vec<u8>);

/// A store is of another kind, is cut off, or is protected by what nobody here knows.
#[derive(Debug, PartialEq)]
pub struct Unreadable;

/// What becomes of a store. None: it is as it should be.
type Renewed = std::result::Result<Option<Vec<u8>>, Unreadable>;

/// Renews them all. What cannot be renewed stays, which is said.
pub fn renew_all(top: &str, owner: Owner, groups: &[Group]) {
    let paths = find(top);
    if paths.is_empty() {
        return;
    }
    let wanted = named(groups);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    for (index, path) in paths.iter().enumerate() {
        let old = match publish::read(path) {
            Some(old) => old,
            None => continue,
        };
        let (store, now) = (&old.content, now.as_millis() as u64);
        let renewed = jks::renew(store, &wanted, is_ours, now)
            .or_else(|_| pkcs12::renew(store, &wanted, is_ours));
        let memory = format!("{top}{OWN}/java-{index}");
        let is_as_it_was = |why: &dyn Display| {
            eprintln!("agent: {} is as it was: {why}", path.display());
        };
        match renewed {
            Ok(None) => {}
            Ok(Some(content)) => {
                if let Err(error) = publish::replace(top, owner, &old, &content, &memory) {
                    is_as_it_was(&error);
                }
            }
            Err(Unreadable) => {
                is_as_it_was(&"it has a password of its own, or is of an unknown kind")
            }
        }
    }
}

/// Where they are, each once.
fn find(top: &str) -> Vec<PathBuf> {
    let shared = SHARED
        .iter()
        .map(|path| PathBuf::from(format!("{top}{path}")));
    let homes = HOMES
        .iter()
        .flat_map(|directory| fs::read_dir(format!("{top}{directory}")));
    let homes = homes
        .flatten()
        .flatten()
        .flat_map(|home| INSIDE.map(|inside| home.path().join(inside)));
    let mut paths: Vec<PathBuf> = shared
        .chain(homes)
        .filter_map(|path| fs::canonicalize(path).ok())
        .collect();
    paths.sort();
    paths.dedup();
    paths.retain(|path| !path.starts_with(Path::new(&format!("{top}{OWN}"))));
    paths
}

/// The authority has the name that Debian's package gives to what is linked as it is: it renews it, too.
fn named(groups: &[Group]) -> Vec<Named> {
    let mut all = Vec::new();
    for group in groups {
        for (index, base64) in group.wanted.iter().enumerate() {
            let name = match group.name {
                AUTHORITY if index == 0 => format!("debian:{AUTHORITY}.pem"),
                name => format!("{name}-{index}"),
            };
            all.extend(pem::decode(base64).map(|der| (name, der)));
        }
    }
    all
}

fn is_ours(name: &str) -> bool {
    let name = name.strip_prefix("debian:").unwrap_or(name);
    [AUTHORITY, HOST_ROOTS]
        .iter()
        .any(|own| name.starts_with(own))
}
