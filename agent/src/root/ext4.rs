//! An ext4 file system that fills its disk: the blank one that every sandbox starts with may be smaller than what was asked
//! for, and a disk may be made larger between two runs.

use crate::sys;
use std::fs::{self, File};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;

const SECTOR_BYTES: u64 = 512;
/// Where the superblock begins, and as much of it as is looked at (fs/ext4/ext4.h, struct ext4_super_block).
const SUPERBLOCK_AT: u64 = 1024;
const SUPERBLOCK_BYTES: usize = 0x154;
const MAGIC: u16 = 0xef53;
const INCOMPAT_64BIT: u32 = 0x80;

#[derive(Debug, PartialEq)]
struct Size {
    blocks: u64,
    block_bytes: u64,
}

/// Grows a mounted file system to the size of its disk. Does nothing when it has it already.
pub fn fill_disk(device: &str, mount_point: &str) -> Result<()> {
    let mut superblock = [0; SUPERBLOCK_BYTES];
    File::open(device)?.read_exact_at(&mut superblock, SUPERBLOCK_AT)?;
    let size = parse(&superblock).ok_or_else(|| Error::from(ErrorKind::InvalidData))?;
    let wanted = disk_bytes(device)? / size.block_bytes;
    if wanted > size.blocks {
        sys::resize_ext4(&File::open(mount_point)?, wanted)?;
    }
    Ok(())
}

fn disk_bytes(device: &str) -> Result<u64> {
    let name = device.trim_start_matches("/dev/");
    let sectors = fs::read_to_string(format!("/sys/block/{name}/size"))?;
    let sectors: u64 = sectors
        .trim_end()
        .parse()
        .map_err(|_| Error::from(ErrorKind::InvalidData))?;
    Ok(sectors.saturating_mul(SECTOR_BYTES))
}

fn parse(superblock: &[u8; SUPERBLOCK_BYTES]) -> Option<Size> {
    let u16_at = |at: usize| u16::from_le_bytes([superblock[at], superblock[at + 1]]);
    let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
    if u16_at(0x38) != MAGIC {
        return None;
    }
    let high = if u32_at(0x60) & INCOMPAT_64BIT != 0 {
        u32_at(0x150)
    } else {
        0
    };
    Some(Size {
        blocks: u64::from(high) << 32 | u64::from(u32_at(4)),
        block_bytes: 1024_u64
            .checked_shl(u32_at(0x18))
            .filter(|&size| size <= 65536)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock(incompatible: u32) -> [u8; SUPERBLOCK_BYTES] {
        let mut bytes = [0; SUPERBLOCK_BYTES];
        bytes[4..8].copy_from_slice(&0x10_0000_u32.to_le_bytes());
        bytes[0x18] = 2;
        bytes[0x38..0x3a].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[0x60..0x64].copy_from_slice(&incompatible.to_le_bytes());
        bytes[0x150] = 1;
        bytes
    }

    #[test]
    fn reads_the_size_with_and_without_64_bits() {
        let small = Size {
            blocks: 0x10_0000,
            block_bytes: 4096,
        };
        assert_eq!(parse(&superblock(0)), Some(small));
        assert_eq!(
            parse(&superblock(INCOMPAT_64BIT)).map(|size| size.blocks),
            Some(0x1_0010_0000)
        );
    }

    #[test]
    fn refuses_what_is_no_superblock() {
        assert_eq!(parse(&[0; SUPERBLOCK_BYTES]), None);
        let mut wild = superblock(0);
        wild[0x18] = 200;
        assert_eq!(parse(&wild), None);
    }
}
