//! Run on the host: where a sparse file has data. Node has no SEEK_DATA, and reading gigabytes of holes takes seconds.

use crate::sys;
use std::fs::File;
use std::io::{Result, Write};

/// Writes a line for each stretch of data in the file: its offset and its length, in bytes.
pub fn list(path: &str, mut output: impl Write) -> Result<()> {
    let file = File::open(path)?;
    let mut from = 0;
    while let Some((start, end)) = sys::next_data(&file, from)? {
        writeln!(output, "{start} {}", end - start)?;
        from = end;
    }
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::list;
    use std::fs::{self, File};
    use std::os::unix::fs::FileExt;

    #[test]
    fn finds_the_data_between_the_holes() {
        let path = std::env::temp_dir().join(format!("extents-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        file.set_len(1 << 30).unwrap();
        file.write_all_at(&[1; 4096], 1 << 20).unwrap();
        file.write_all_at(&[1; 10], 1 << 29).unwrap();
        let mut output = Vec::new();
        list(path.to_str().unwrap(), &mut output).unwrap();
        fs::remove_file(&path).unwrap();
        let ranges: Vec<(u64, u64)> = String::from_utf8(output)
            .unwrap()
            .lines()
            .map(|line| {
                let (offset, length) = line.split_once(' ').unwrap();
                (offset.parse().unwrap(), length.parse().unwrap())
            })
            .collect();
        let covers = |at| {
            ranges
                .iter()
                .any(|(start, length)| (*start..start + length).contains(&at))
        };
        assert!(covers(1 << 20) && covers(1 << 29));
        // A file system without holes reports one stretch.
        assert!(ranges.iter().map(|(_, length)| length).sum::<u64>() <= 1 << 30);
    }
}
