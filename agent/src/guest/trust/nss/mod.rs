//! NSS's databases, one in each user's home: where Chromium without policies (its headless shell, as Playwright starts it) and
//! tools built on NSS look for more than they bring. Where there is one already nothing is done.
//!
//! The format is that of nss/lib/softoken/sdb.c: a column for each attribute of PKCS #11, named by its number.

mod sqlite;

use super::sha1::sha1;
use super::subject;
use super::{pem, places, publish, AUTHORITY};
use crate::commands::users::{self, PASSWD};
use crate::sys;
use sqlite::{Rows, Table, Value};
use std::fs::{self, Permissions};
use std::io::Result;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// Below a home.
const DIRECTORIES: [&str; 2] = [".pki", ".pki/nssdb"];
/// Of certificates.
const NAME: &str = "cert9.db";
/// Of keys, without which the other one is not opened by who only reads. There are none, and no password.
const KEYS: &str = "key4.db";

/// The numbers of all attributes that NSS 3.87 has columns for, from and to. It reads those of others only that it has added.
const COLUMNS: [(u32, u32); 25] = [
    (0x0, 0x3),
    (0x10, 0x12),
    (0x80, 0x8b),
    (0x90, 0x90),
    (0x100, 0x10c),
    (0x110, 0x111),
    (0x120, 0x129),
    (0x130, 0x134),
    (0x160, 0x166),
    (0x170, 0x170),
    (0x180, 0x181),
    (0x200, 0x202),
    (0x210, 0x210),
    (0x300, 0x302),
    (0x400, 0x406),
    (0x480, 0x482),
    (0x500, 0x503),
    (0x4000_0211, 0x4000_0212),
    (0x8000_0001, 0x8000_0001),
    (0xce53_4351, 0xce53_4358),
    (0xce53_4364, 0xce53_4369),
    (0xce53_4373, 0xce53_4374),
    (0xce53_6351, 0xce53_6360),
    (0xce53_63b4, 0xce53_63b5),
    (0xd5a0_db00, 0xd5a0_db00),
];

const CLASS: u32 = 0x0;
const TOKEN: u32 = 0x1;
const PRIVATE: u32 = 0x2;
const LABEL: u32 = 0x3;
const VALUE: u32 = 0x11;
const CERTIFICATE_TYPE: u32 = 0x80;
const ISSUER: u32 = 0x81;
const SERIAL: u32 = 0x82;
const SUBJECT: u32 = 0x101;
const ID: u32 = 0x102;
const MODIFIABLE: u32 = 0x170;
const SERVER_AUTH: u32 = 0xce53_6358;
const CLIENT_AUTH: u32 = 0xce53_6359;
const EMAIL: u32 = 0xce53_635a;
const CODE_SIGNING: u32 = 0xce53_635b;
const STEP_UP: u32 = 0xce53_6360;
const SHA1_HASH: u32 = 0xce53_63b4;

/// CKO_CERTIFICATE, CKO_NSS_TRUST.
const CERTIFICATE: u32 = 1;
const TRUST: u32 = 0xce53_4353;
/// CKT_NSS_TRUSTED_DELEGATOR, CKT_NSS_MUST_VERIFY_TRUST.
const TRUSTED: u32 = 0xce53_4352;
const MUST_VERIFY: u32 = 0xce53_4353;

/// What stands for a text without letters (SQLITE_EXPLICIT_NULL).
const EMPTY: [u8; 3] = [0xa5, 0x00, 0x5a];

/// The lowest user id of people (login.defs(5)).
const FIRST_PERSON: u32 = 1000;
const NOBODY: u32 = 65534;

/// The database of one certificate in each home, or none. `former`: of a start before this one.
pub fn renew_all(
    top: &str,
    former: Option<&pem::Base64>,
    wanted: Option<&pem::Base64>,
) -> Result<()> {
    let made = |base64: &pem::Base64| database(&pem::decode(base64)?);
    let (former, wanted) = (former.and_then(made), wanted.and_then(made));
    if former.is_none() && wanted.is_none() {
        return Ok(());
    }
    for home in homes(&users::read_database(&format!("{top}{PASSWD}"))?) {
        let path = format!("{top}{home}");
        if let Err(error) = renew(&path, former.as_deref(), wanted.as_deref()) {
            eprintln!("agent: {home} has no database of certificates: {error}");
        }
    }
    Ok(())
}

/// The homes of root and of people, each once.
fn homes(passwd: &str) -> Vec<&str> {
    let mut homes: Vec<&str> = passwd
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let (uid, home) = (fields.get(2)?.parse::<u32>().ok()?, *fields.get(5)?);
            let is_a_person = uid == 0 || uid >= FIRST_PERSON && uid != NOBODY;
            (is_a_person && home.starts_with('/') && home.len() > 1).then(|| home)
        })
        .collect();
    homes.sort_unstable();
    homes.dedup();
    homes
}

/// A user of a former start may have put links there: none is followed, and what is made is his whose home it is. What he or NSS
/// has changed stays.
fn renew(home: &str, former: Option<&[u8]>, wanted: Option<&[u8]>) -> Result<()> {
    let owner = match fs::symlink_metadata(home) {
        Ok(found) if found.is_dir() => (found.uid(), found.gid()),
        _ => return Ok(()),
    };
    let directories = DIRECTORIES.map(|directory| format!("{home}/{directory}"));
    let path = format!("{}/{NAME}", directories[1]);
    let is_there = fs::symlink_metadata(&path).is_ok();
    let is_safe = |path: &String| fs::symlink_metadata(path).map_or(true, |found| found.is_dir());
    if !directories.iter().all(is_safe) {
        return Ok(());
    }
    if is_there {
        let found = publish::read(&path).map(|found| found.content);
        let found = found.as_deref();
        if found == wanted || found != former {
            return Ok(());
        }
    }
    let content = match wanted {
        Some(content) => content,
        None if is_there => return fs::remove_file(&path),
        None => return Ok(()),
    };
    for directory in &directories {
        if !places::is_directory(directory) {
            places::make_directory(directory, 0o700)?;
            chown(directory, owner)?;
        }
    }
    let keys = format!("{}/{KEYS}", directories[1]);
    if fs::symlink_metadata(&keys).is_err() {
        write(&keys, &no_keys().unwrap_or_default(), owner)?;
    }
    write(&path, content, owner)
}

fn write(path: &str, content: &[u8], owner: (u32, u32)) -> Result<()> {
    publish::write_own(path, content)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    chown(path, owner)
}

/// Of what was just made by the agent itself.
fn chown(path: &str, (uid, gid): (u32, u32)) -> Result<()> {
    sys::set_file_owner(&fs::File::open(path)?, Some(uid), Some(gid))
}

/// A database that believes one authority about servers. None: this is no certificate, or too long a one.
fn database(certificate: &[u8]) -> Option<Vec<u8>> {
    let parts = subject::parts(certificate)?;
    let word = |number: u32| number.to_be_bytes().to_vec();
    let both = |class: u32, label: Vec<u8>| {
        vec![
            (CLASS, word(class)),
            (TOKEN, vec![1]),
            (PRIVATE, vec![0]),
            (LABEL, label),
            (ISSUER, parts.issuer.clone()),
            (SERIAL, parts.serial.clone()),
            (MODIFIABLE, vec![1]),
        ]
    };
    let hash = sha1(&[certificate]).to_vec();
    let mut first = both(CERTIFICATE, AUTHORITY.as_bytes().to_vec());
    first.extend([
        (VALUE, certificate.to_vec()),
        (CERTIFICATE_TYPE, word(0)),
        (SUBJECT, parts.subject.clone()),
        (ID, hash.clone()),
    ]);
    let mut second = both(TRUST, EMPTY.to_vec());
    second.extend([
        (SERVER_AUTH, word(TRUSTED)),
        (CLIENT_AUTH, word(MUST_VERIFY)),
        (EMAIL, word(MUST_VERIFY)),
        (CODE_SIGNING, word(MUST_VERIFY)),
        (STEP_UP, vec![0]),
        (SHA1_HASH, hash),
    ]);
    let columns = columns();
    let row = |attributes: Vec<(u32, Vec<u8>)>| {
        let value = |column: &u32| {
            let found = attributes.iter().find(|(number, _)| number == column);
            found.map_or(Value::Null, |(_, bytes)| Value::Blob(bytes.clone()))
        };
        // The number of the row is the first column.
        let id = std::iter::once(Value::Null);
        id.chain(columns.iter().map(value)).collect()
    };
    sqlite::database(&[objects("nssPublic", vec![row(first), row(second)])])
}

fn no_keys() -> Option<Vec<u8>> {
    let passwords = Table {
        name: "metaData",
        sql: String::from("CREATE TABLE metaData (id PRIMARY KEY ON CONFLICT REPLACE, item1, item2) WITHOUT ROWID"),
        rows: Rows::NoneUnnumbered,
    };
    sqlite::database(&[objects("nssPrivate", Vec::new()), passwords])
}

fn columns() -> Vec<u32> {
    COLUMNS.iter().flat_map(|&(from, to)| from..=to).collect()
}

fn objects(name: &'static str, rows: Vec<Vec<Value>>) -> Table {
    let columns: String = columns()
        .iter()
        .map(|column| format!(", a{column:x}"))
        .collect();
    let sql = format!("CREATE TABLE {name} (id INTEGER PRIMARY KEY{columns})");
    let rows = Rows::Numbered(rows);
    Table { name, sql, rows }
}
