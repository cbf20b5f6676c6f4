//! Attributes of files as SFTP has them, and the line of `ls -l` that goes with a name.

use super::packet::{Fields, Packet};
use crate::sys;
use std::fs::{self, File, Metadata, Permissions};
use std::io::Result;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

const SIZE: u32 = 1;
const OWNER: u32 = 2;
const PERMISSIONS: u32 = 4;
const TIMES: u32 = 8;
const EXTENDED: u32 = 0x8000_0000;
const SECOND: i64 = 1_000_000_000;
/// Linux's `S_IF*`.
const KIND: u32 = 0o170_000;

/// What is to be set; None: as it is.
#[derive(Debug, Default, PartialEq)]
pub struct Attributes {
    pub size: Option<u64>,
    pub owner: Option<(u32, u32)>,
    pub mode: Option<u32>,
    /// When it was read and changed last, seconds since 1970.
    pub times: Option<(u32, u32)>,
}

impl Attributes {
    pub fn read(fields: &mut Fields) -> Result<Attributes> {
        let flags = fields.u32()?;
        let mut found = Attributes::default();
        if flags & SIZE != 0 {
            found.size = Some(fields.u64()?);
        }
        if flags & OWNER != 0 {
            found.owner = Some((fields.u32()?, fields.u32()?));
        }
        if flags & PERMISSIONS != 0 {
            found.mode = Some(fields.u32()? & 0o7777);
        }
        if flags & TIMES != 0 {
            found.times = Some((fields.u32()?, fields.u32()?));
        }
        if flags & EXTENDED != 0 {
            for _ in 0..fields.u32()? {
                fields.string()?;
                fields.string()?;
            }
        }
        Ok(found)
    }

    /// Sets them of a path. Its owner comes before its mode: chown(2) takes away set-user-id.
    pub fn set(&self, path: &Path, follow: bool) -> Result<()> {
        if let Some(size) = self.size {
            File::options().write(true).open(path)?.set_len(size)?;
        }
        if let Some((uid, gid)) = self.owner {
            sys::set_owner(path, Some(uid), Some(gid), follow)?;
        }
        if let (Some(mode), true) = (self.mode, follow) {
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        if let Some((accessed, modified)) = self.nanoseconds() {
            sys::set_times(path, Some(accessed), Some(modified), follow)?;
        }
        Ok(())
    }

    /// Sets them of an open file.
    pub fn set_open(&self, file: &File) -> Result<()> {
        if let Some(size) = self.size {
            file.set_len(size)?;
        }
        if let Some((uid, gid)) = self.owner {
            sys::set_file_owner(file, Some(uid), Some(gid))?;
        }
        if let Some(mode) = self.mode {
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        if let Some((accessed, modified)) = self.nanoseconds() {
            sys::set_file_times(file, Some(accessed), modified)?;
        }
        Ok(())
    }

    fn nanoseconds(&self) -> Option<(i64, i64)> {
        let (accessed, modified) = self.times?;
        Some((i64::from(accessed) * SECOND, i64::from(modified) * SECOND))
    }
}

/// Writes what is known of a file.
pub fn write(packet: &mut Packet, found: &Metadata) {
    packet
        .u32(SIZE | OWNER | PERMISSIONS | TIMES)
        .u64(found.size())
        .u32(found.uid())
        .u32(found.gid())
        .u32(found.mode())
        .u32(seconds(found.atime()))
        .u32(seconds(found.mtime()));
}

fn seconds(time: i64) -> u32 {
    time.clamp(0, i64::from(u32::MAX)) as u32
}

/// The line of `ls -l`, without the name.
pub fn line(found: &Metadata, user: &str, group: &str, now: i64) -> String {
    format!(
        "{} {:>3} {:<8} {:<8} {:>8} {}",
        mode_text(found.mode()),
        found.nlink(),
        user,
        group,
        found.size(),
        time_text(found.mtime(), now)
    )
}

fn mode_text(mode: u32) -> String {
    let kind = match mode & KIND {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o100_000 => '-',
        0o020_000 => 'c',
        0o060_000 => 'b',
        0o010_000 => 'p',
        0o140_000 => 's',
        _ => '?',
    };
    let mut text = String::from(kind);
    for (shift, special, set, unset) in [
        (6, 0o4000, 's', 'S'),
        (3, 0o2000, 's', 'S'),
        (0, 0o1000, 't', 'T'),
    ] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => set,
            (false, true) => unset,
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAY: i64 = 86_400;

/// As ls(1) shows a time, in UTC: with the hour when it is less than half a year from now, else with the year.
fn time_text(time: i64, now: i64) -> String {
    let (year, month, day) = date(time.div_euclid(DAY));
    let name = MONTHS[month];
    if (now - 182 * DAY..=now + DAY).contains(&time) {
        let minutes = time.rem_euclid(DAY) / 60;
        format!("{name} {day:>2} {:02}:{:02}", minutes / 60, minutes % 60)
    } else {
        format!("{name} {day:>2} {year:>5}")
    }
}

/// Year, month from 0 and day of a day since 1970, in the Gregorian calendar. Years are counted from March, so that a leap day is the
/// last one.
fn date(days: i64) -> (i64, usize, i64) {
    let from_era = days + 719_468;
    let era = from_era.div_euclid(146_097);
    let day_of_era = from_era.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12;
    let year = era * 400 + year_of_era + i64::from(month < 2);
    (year, month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_all_kinds_of_years() {
        assert_eq!(date(0), (1970, 0, 1));
        assert_eq!(date(-1), (1969, 11, 31));
        assert_eq!(date(11_016), (2000, 1, 29));
        assert_eq!(date(11_017), (2000, 2, 1));
        assert_eq!(date(47_541), (2100, 2, 1));
        assert_eq!(date(47_540), (2100, 1, 28));
    }

    #[test]
    fn times_near_and_far() {
        let now = 1_700_000_000;
        assert_eq!(time_text(now, now), "Nov 14 22:13");
        assert_eq!(time_text(0, now), "Jan  1  1970");
        assert_eq!(time_text(now + 10 * DAY, now), "Nov 24  2023");
    }

    #[test]
    fn modes_of_all_kinds() {
        assert_eq!(mode_text(0o100_644), "-rw-r--r--");
        assert_eq!(mode_text(0o041_777), "drwxrwxrwt");
        assert_eq!(mode_text(0o104_755), "-rwsr-xr-x");
        assert_eq!(mode_text(0o102_644), "-rw-r-Sr--");
        assert_eq!(mode_text(0o120_777), "lrwxrwxrwx");
    }

    #[test]
    fn attributes_are_read_by_their_flags() {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&(PERMISSIONS | TIMES).to_be_bytes());
        for value in [0o100_600u32, 5, 6] {
            bytes.extend_from_slice(&value.to_be_bytes());
        }
        let found = Attributes::read(&mut Fields::new(&bytes)).unwrap();
        let expected = Attributes {
            mode: Some(0o600),
            times: Some((5, 6)),
            ..Attributes::default()
        };
        assert_eq!(found, expected);
        assert!(Attributes::read(&mut Fields::new(&bytes[..7])).is_err());
    }

    #[test]
    fn a_list_of_extensions_that_does_not_end_is_refused() {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&EXTENDED.to_be_bytes());
        bytes.extend_from_slice(&u32::MAX.to_be_bytes());
        assert!(Attributes::read(&mut Fields::new(&bytes)).is_err());
    }
}
