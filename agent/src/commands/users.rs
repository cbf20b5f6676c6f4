//! Who a command runs as: the guest's own /etc/passwd and /etc/group, read without glibc's NSS, which would load
//! shared objects of the image into PID 1.

use crate::sys::O_NONBLOCK;
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::OpenOptionsExt;

pub const PASSWD: &str = "/etc/passwd";
pub const GROUP: &str = "/etc/group";
/// Bytes; a larger user data base is refused rather than read into PID 1's memory.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// The kernel's limit of supplementary groups (NGROUPS_MAX).
const MAX_GROUPS: usize = 65536;

/// The identity of a command.
#[derive(Debug, PartialEq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The home directory of the passwd entry, or `/` where there is none.
    pub home: String,
}

struct PasswdEntry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// Lines that are not entries (comments, NIS markers, garbage) are skipped, as the C library does.
fn passwd_entries(text: &str) -> impl Iterator<Item = PasswdEntry<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let uid = parse_id(fields.nth(1)?)?;
        let gid = parse_id(fields.next()?)?;
        let home = fields.nth(1).unwrap_or("");
        Some(PasswdEntry {
            name,
            uid,
            gid,
            home,
        })
    })
}

struct GroupEntry<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

fn group_entries(text: &str) -> impl Iterator<Item = GroupEntry<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let gid = parse_id(fields.nth(1)?)?;
        let members = fields.next().unwrap_or("");
        Some(GroupEntry { name, gid, members })
    })
}

/// Digits only; 2^32-1 means "no change" to the kernel and is no id.
fn parse_id(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|id| *id != u32::MAX)
}

/// Finds out who `spec` is: `user` or `user:group`, each a name or a number. As in docker an empty user is root, and an
/// empty group is as none. A name that is in the data base is that entry even when it looks like a number, as in chown(1).
pub fn resolve(spec: &str, passwd: &str, group: &str) -> std::result::Result<Identity, String> {
    let (user, group_part) = spec.split_once(':').unwrap_or((spec, ""));
    let user = if user.is_empty() { "0" } else { user };
    let wanted_group = Some(group_part).filter(|group| !group.is_empty());
    let by_name = passwd_entries(passwd).find(|entry| entry.name == user);
    let entry = match (by_name, parse_id(user)) {
        (Some(entry), _) => Ok(entry),
        (None, Some(uid)) => passwd_entries(passwd)
            .find(|entry| entry.uid == uid)
            .ok_or(uid),
        (None, None) => return Err(format!("no user '{user}' in /etc/passwd")),
    };
    let (uid, primary, home, name) = match entry {
        Ok(entry) => (entry.uid, entry.gid, entry.home, Some(entry.name)),
        Err(uid) => (uid, 0, "", None),
    };
    let gid = match wanted_group {
        None => primary,
        Some(wanted) => group_entries(group)
            .find(|entry| entry.name == wanted)
            .map(|entry| entry.gid)
            .or_else(|| parse_id(wanted))
            .ok_or_else(|| format!("no group '{wanted}' in /etc/group"))?,
    };
    Ok(Identity {
        uid,
        gid,
        groups: name.map_or_else(Vec::new, |name| supplementary(name, gid, group)),
        home: String::from(if home.is_empty() { "/" } else { home }),
    })
}

/// The groups that list `name`, and the primary one, as initgroups(3) gives them.
fn supplementary(name: &str, gid: u32, group: &str) -> Vec<u32> {
    let mut groups = vec![gid];
    for entry in group_entries(group) {
        if entry.members.split(',').any(|member| member == name)
            && !groups.contains(&entry.gid)
            && groups.len() < MAX_GROUPS
        {
            groups.push(entry.gid);
        }
    }
    groups
}

/// Reads a user data base; a missing one is empty. The guest owns the file, so whatever could make PID 1 wait or swell
/// (a pipe, a device, a huge file) is refused.
pub fn read_database(path: &str) -> Result<String> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open(path);
    let file: File = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err(Error::new(
            ErrorKind::InvalidData,
            format!("{path} is not a regular file of at most {MAX_FILE_BYTES} bytes"),
        ));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    // Comment fields may hold any encoding.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
        # a comment\n\
        broken:x:abc:1::/:\n\
        ann:x:1000:1000:Ann:/home/ann:/bin/sh\n\
        77:x:2000:2000::/home/seven:/bin/sh\n\
        +::::::\n\
        short:x:5:6\n";
    const GROUP: &str = "root:x:0:\n\
        audio:x:29:ann,bob\n\
        staff:x:50:bob,ann\n\
        wheel:x:10:root\n\
        ann:x:1000:\n\
        twice:x:29:ann\n";

    fn ids(spec: &str) -> (u32, u32, Vec<u32>) {
        let identity = resolve(spec, PASSWD, GROUP).unwrap();
        (identity.uid, identity.gid, identity.groups)
    }

    #[test]
    fn empty_is_root_with_its_groups() {
        assert_eq!(ids(""), (0, 0, vec![0, 10]));
        assert_eq!(resolve("", PASSWD, GROUP).unwrap().home, "/root");
    }

    #[test]
    fn root_needs_no_database() {
        let identity = resolve("", "", "").unwrap();
        assert_eq!((identity.uid, identity.gid), (0, 0));
        assert_eq!(identity.home, "/");
        assert_eq!(identity.groups, vec![]);
    }

    #[test]
    fn a_name_brings_primary_and_supplementary_groups_once_each() {
        assert_eq!(ids("ann"), (1000, 1000, vec![1000, 29, 50]));
        assert_eq!(resolve("ann", PASSWD, GROUP).unwrap().home, "/home/ann");
    }

    #[test]
    fn a_number_of_a_known_user_is_that_user() {
        assert_eq!(ids("1000"), (1000, 1000, vec![1000, 29, 50]));
    }

    #[test]
    fn an_unknown_number_has_root_group_only() {
        assert_eq!(ids("4242"), (4242, 0, vec![]));
        assert_eq!(resolve("4242", PASSWD, GROUP).unwrap().home, "/");
    }

    #[test]
    fn an_explicit_group_replaces_the_primary_one() {
        assert_eq!(ids("ann:staff"), (1000, 50, vec![50, 29]));
        assert_eq!(ids("ann:7"), (1000, 7, vec![7, 29, 50]));
        assert_eq!(ids("4242:staff"), (4242, 50, vec![]));
        assert_eq!(ids("4242:7"), (4242, 7, vec![]));
    }

    #[test]
    fn an_empty_part_is_as_if_it_were_not_given() {
        assert_eq!(ids("ann:"), ids("ann"));
        assert_eq!(ids("1000:"), ids("1000"));
        assert_eq!(ids("4242:"), ids("4242"));
        assert_eq!(ids(":"), ids(""));
        assert_eq!(ids(":staff"), ids("root:staff"));
    }

    #[test]
    fn a_name_made_of_digits_wins_over_the_number() {
        assert_eq!(ids("77").0, 2000);
    }

    #[test]
    fn an_entry_without_home_has_the_root_directory() {
        assert_eq!(resolve("short", PASSWD, GROUP).unwrap().home, "/");
    }

    #[test]
    fn refuses_what_does_not_exist() {
        for spec in [
            "nobody",
            "broken",
            "+",
            "ann:nogroup",
            "-1",
            "4294967295",
            "4294967296",
            "ann:staff:x",
        ] {
            assert!(resolve(spec, PASSWD, GROUP).is_err(), "{spec}");
        }
    }

    #[test]
    fn a_missing_database_is_empty_and_a_directory_is_refused() {
        assert_eq!(read_database("/nonexistent/passwd").unwrap(), "");
        assert!(read_database("/").is_err());
    }
}
