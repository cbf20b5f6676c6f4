//! As much of DER (X.690) as it takes to read names of certificates and stores of them.

/// A value with the tag in front of it.
#[derive(Clone, Copy, PartialEq)]
pub struct Value<'a> {
    pub tag: u8,
    pub content: &'a [u8],
}

pub const INTEGER: u8 = 0x02;
pub const OCTET_STRING: u8 = 0x04;
pub const OBJECT: u8 = 0x06;
pub const UTF8_STRING: u8 = 0x0c;
pub const PRINTABLE_STRING: u8 = 0x13;
pub const T61_STRING: u8 = 0x14;
pub const IA5_STRING: u8 = 0x16;
pub const VISIBLE_STRING: u8 = 0x1a;
pub const UNIVERSAL_STRING: u8 = 0x1c;
pub const BMP_STRING: u8 = 0x1e;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;
/// An explicit tag of its context, 0.
pub const TAG_0: u8 = 0xa0;

/// Takes the first value of some bytes. None: there is none that is whole.
pub fn take<'a>(bytes: &mut &'a [u8]) -> Option<Value<'a>> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 || rest.len() < count {
            return None;
        }
        let (digits, behind) = rest.split_at(count);
        length = digits
            .iter()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        rest = behind;
    }
    if rest.len() < length {
        return None;
    }
    let (content, behind) = rest.split_at(length);
    *bytes = behind;
    Some(Value { tag, content })
}

/// The same, of one kind.
pub fn take_tagged<'a>(bytes: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    take(bytes)
        .filter(|value| value.tag == tag)
        .map(|value| value.content)
}

/// All values of some bytes. None: they are no whole values.
pub fn all(mut bytes: &[u8]) -> Option<Vec<Value<'_>>> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        values.push(take(&mut bytes)?);
    }
    Some(values)
}

/// Writes a value.
pub fn encode(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_be_bytes();
    let zeros = length.iter().take_while(|&&byte| byte == 0).count();
    let mut out = Vec::with_capacity(content.len() + 8);
    out.push(tag);
    if content.len() < 0x80 {
        out.push(content.len() as u8);
    } else {
        out.push(0x80 | (8 - zeros) as u8);
        out.extend_from_slice(&length[zeros..]);
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![7; length];
            let bytes = encode(SEQUENCE, &content);
            let wanted = [Value {
                tag: SEQUENCE,
                content: &content[..],
            }];
            assert!(all(&bytes).unwrap() == wanted);
            assert!(length == 0 || all(&bytes[..bytes.len() - 1]).is_none());
        }
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_nothing() {
        let rows: [&[u8]; 6] = [
            b"\x30",
            b"\x30\x80",
            b"\x30\x85",
            b"\x30\x82\xff",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x02\x00",
        ];
        for mut bytes in rows {
            assert!(take(&mut bytes).is_none());
        }
    }
}
