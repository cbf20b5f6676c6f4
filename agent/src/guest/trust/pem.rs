//! Certificates as text (RFC 7468): files of them, with whatever else people write between.

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";
/// Characters of a line (RFC 7468, 2).
const LINE: usize = 64;

/// A certificate's base64 without its lines' ends: the same text is the same certificate.
pub type Base64 = Vec<u8>;

/// A certificate in a file.
pub struct Found {
    /// From the first byte of its first line to the one behind the end of its last.
    pub start: usize,
    pub end: usize,
    pub base64: Base64,
}

/// All certificates of a file. What has no end is none.
pub fn find(text: &[u8]) -> Vec<Found> {
    let mut all = Vec::new();
    let mut open: Option<(usize, Base64)> = None;
    let mut at = 0;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let start = at;
        at += line.len();
        let line = trimmed(line);
        if line == BEGIN {
            open = Some((start, Vec::new()));
        } else if line == END {
            if let Some((start, base64)) = open.take() {
                let end = at;
                all.push(Found { start, end, base64 });
            }
        } else if let Some((_, base64)) = &mut open {
            base64.extend_from_slice(line);
        }
    }
    all
}

fn trimmed(line: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !byte.is_ascii_whitespace();
    let start = line.iter().position(is_text).unwrap_or(line.len());
    let end = line
        .iter()
        .rposition(is_text)
        .map_or(start, |last| last + 1);
    &line[start..end]
}

/// Writes a certificate behind what is there.
pub fn append(text: &mut Vec<u8>, base64: &[u8]) {
    if text.last().map_or(false, |&byte| byte != b'\n') {
        text.push(b'\n');
    }
    for line in std::iter::once(BEGIN)
        .chain(base64.chunks(LINE))
        .chain([END])
    {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
}

/// A file of certificates.
pub fn file_of<'a>(certificates: impl IntoIterator<Item = &'a Base64>) -> Vec<u8> {
    let mut text = Vec::new();
    for base64 in certificates {
        append(&mut text, base64);
    }
    text
}

/// The bytes that base64 (RFC 4648, 4) stands for. None: it is none.
pub fn decode(base64: &[u8]) -> Option<Vec<u8>> {
    let text = base64.strip_suffix(b"=").unwrap_or(base64);
    let text = text.strip_suffix(b"=").unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut count) = (0u32, 0);
    for &character in text {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_certificates_among_other_text() {
        let text = b"# one\n-----BEGIN CERTIFICATE-----\r\nAAAA\r\nBB==\r\n-----END CERTIFICATE-----\r\n\
            -----BEGIN PRIVATE KEY-----\nCCCC\n-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\nlost\n\
            -----BEGIN CERTIFICATE-----\n DDDD \n-----END CERTIFICATE-----\n-----END CERTIFICATE-----\n\
            -----BEGIN CERTIFICATE-----\nEEEE";
        let found = find(text);
        let base64: Vec<&[u8]> = found.iter().map(|one| &one.base64[..]).collect();
        assert_eq!(base64, [b"AAAABB==" as &[u8], b"DDDD"]);
        assert!(text[found[0].start..].starts_with(BEGIN));
        assert!(text[..found[0].end].ends_with(b"-----END CERTIFICATE-----\r\n"));
        // Bytes that are no text at all.
        assert!(find(&[0xff; 300]).is_empty() && find(b"").is_empty());
    }

    #[test]
    fn writes_what_it_reads() {
        let base64 = vec![b'A'; 130];
        let mut text = b"no newline".to_vec();
        append(&mut text, &base64);
        assert_eq!(text.iter().filter(|&&byte| byte == b'\n').count(), 6);
        assert_eq!(find(&text)[0].base64, base64);
        assert_eq!(find(&file_of([&base64, &base64])).len(), 2);
    }

    #[test]
    fn decodes_as_the_standard_does() {
        // RFC 4648, 10.
        let rows = [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYmFy", "foobar"),
        ];
        for (base64, text) in rows {
            assert_eq!(decode(base64.as_bytes()).unwrap(), text.as_bytes());
        }
        assert_eq!(decode(b"+/8=").unwrap(), [0xfb, 0xff]);
        assert!(decode(b"Zm 9v").is_none());
    }
}
