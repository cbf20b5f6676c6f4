//! SHA-1 (FIPS 180-4, 6.1). It protects nothing here: names of files and old stores of keys are made with it.

pub type Digest = [u8; 20];

/// The digest of some pieces, one after another.
pub fn sha1(pieces: &[&[u8]]) -> Digest {
    let mut state = [
        0x6745_2301,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0u32,
    ];
    let length: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
    let mut block = [0u8; 64];
    let mut filled = 0;
    let mut take = |mut bytes: &[u8]| {
        while !bytes.is_empty() {
            let count = bytes.len().min(64 - filled);
            block[filled..filled + count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            filled = (filled + count) % 64;
            if filled == 0 {
                compress(&mut state, &block);
            }
        }
        filled
    };
    let filled = pieces.iter().map(|piece| take(piece)).last().unwrap_or(0);
    let mut padding = [0; 72];
    padding[0] = 0x80;
    // Up to 8 bytes before the end of a block, which are for the length in bits.
    let zeros = 64 - (filled + 8) % 64;
    padding[zeros..zeros + 8].copy_from_slice(&(length * 8).to_be_bytes());
    take(&padding[..zeros + 8]);
    let mut digest = [0; 20];
    for (out, word) in digest.chunks_exact_mut(4).zip(state) {
        out.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

fn compress(state: &mut [u32; 5], block: &[u8; 64]) {
    let mut w = [0u32; 80];
    for (word, bytes) in w.iter_mut().zip(block.chunks_exact(4)) {
        *word = bytes
            .iter()
            .fold(0, |word, &byte| word << 8 | u32::from(byte));
    }
    for t in 16..80 {
        w[t] = (w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16]).rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (t, word) in w.iter().enumerate() {
        let (f, k) = match t {
            0..=19 => (b & c | !b & d, 0x5a82_7999),
            20..=39 => (b ^ c ^ d, 0x6ed9_eba1),
            40..=59 => (b & c | b & d | c & d, 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6u32),
        };
        let next = a
            .rotate_left(5)
            .wrapping_add(f)
            .wrapping_add(e)
            .wrapping_add(k)
            .wrapping_add(*word);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
    for (sum, value) in state.iter_mut().zip([a, b, c, d, e]) {
        *sum = sum.wrapping_add(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digest: Digest) -> String {
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn digests_as_the_standard_does() {
        // FIPS 180-4's examples, and two lengths at which the padding begins another block (sha1sum).
        let rows: [(&[u8], &str); 5] = [
            (b"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            (b"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (&[b'a'; 55], "c1c8bbdc22796e28c0e15163d20899b65621d65a"),
            (&[b'a'; 56], "c2db330f6083854c99d4b5bfb6e8f29f201be699"),
            (&[b'a'; 1_000], "291e9a6c66994949b57ba5e650361e98fc36b1ba"),
        ];
        for (bytes, wanted) in rows {
            assert_eq!(hex(sha1(&[bytes])), wanted);
            let (front, back) = bytes.split_at(bytes.len() / 3);
            assert_eq!(hex(sha1(&[front, b"", back])), wanted);
        }
        assert_eq!(hex(sha1(&[])), rows[0].1);
    }
}
