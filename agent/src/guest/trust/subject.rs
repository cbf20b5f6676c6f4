//! What names a certificate, and the number under which OpenSSL looks for it in a directory: `openssl x509 -hash`.

use super::der::{self, Value};
use super::sha1::sha1;

/// Eight hexadecimal digits. None: this is no certificate.
pub fn hash(certificate: &[u8]) -> Option<String> {
    let mut canonical = Vec::new();
    let [_, _, subject] = fields(certificate)?;
    for name in der::all(subject)? {
        canonical.extend(canonical_part(name)?);
    }
    let [a, b, c, d, ..] = sha1(&[&canonical]);
    Some(format!("{:08x}", u32::from_le_bytes([a, b, c, d])))
}

/// What names a certificate, in DER.
pub struct Parts {
    pub serial: Vec<u8>,
    pub issuer: Vec<u8>,
    pub subject: Vec<u8>,
}

/// None: this is no certificate.
pub fn parts(certificate: &[u8]) -> Option<Parts> {
    let [serial, issuer, subject] = fields(certificate)?;
    Some(Parts {
        serial: der::encode(der::INTEGER, serial),
        issuer: der::encode(der::SEQUENCE, issuer),
        subject: der::encode(der::SEQUENCE, subject),
    })
}

/// Its number, its issuer and its subject (RFC 5280, 4.1).
fn fields(certificate: &[u8]) -> Option<[&[u8]; 3]> {
    let outer = der::take_tagged(&mut &*certificate, der::SEQUENCE)?;
    let mut fields = der::take_tagged(&mut &*outer, der::SEQUENCE)?;
    if fields.first() == Some(&der::TAG_0) {
        der::take(&mut fields)?;
    }
    let serial = der::take_tagged(&mut fields, der::INTEGER)?;
    let _algorithm = der::take_tagged(&mut fields, der::SEQUENCE)?;
    let issuer = der::take_tagged(&mut fields, der::SEQUENCE)?;
    let _time = der::take_tagged(&mut fields, der::SEQUENCE)?;
    let subject = der::take_tagged(&mut fields, der::SEQUENCE)?;
    Some([serial, issuer, subject])
}

/// A set of attributes in the form in which names are compared (x509_name_canon() in OpenSSL's crypto/x509/x_name.c).
fn canonical_part(part: Value<'_>) -> Option<Vec<u8>> {
    let mut attributes = Vec::new();
    for attribute in der::all(part.content)? {
        let values = der::all(attribute.content)?;
        let (kind, value) = match values[..] {
            [kind, value] if attribute.tag == der::SEQUENCE => (kind, value),
            _ => return None,
        };
        let mut pair = der::encode(kind.tag, kind.content);
        pair.extend(match text_of(value) {
            Some(text) => der::encode(der::UTF8_STRING, plain(&text?).as_bytes()),
            None => der::encode(value.tag, value.content),
        });
        attributes.push(der::encode(der::SEQUENCE, &pair));
    }
    // X.690, 11.6.
    attributes.sort();
    (part.tag == der::SET).then(|| der::encode(der::SET, &attributes.concat()))
}

/// None: it is no text. Some(None): it is not the text that it says it is.
fn text_of(value: Value<'_>) -> Option<Option<String>> {
    let content = value.content;
    let wide = |size: usize| {
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0u32, |sum, &byte| sum << 8 | u32::from(byte))
        };
        let text = content
            .chunks(size)
            .map(|bytes| char::from_u32(number(bytes)));
        text.collect::<Option<String>>()
            .filter(|_| content.len() % size == 0)
    };
    Some(match value.tag {
        der::UTF8_STRING => String::from_utf8(content.to_vec()).ok(),
        der::BMP_STRING => wide(2),
        der::UNIVERSAL_STRING => wide(4),
        der::PRINTABLE_STRING | der::T61_STRING | der::IA5_STRING | der::VISIBLE_STRING => wide(1),
        _ => return None,
    })
}

/// Without space at its ends, with single ones in it, in small letters; only ASCII has either.
fn plain(text: &str) -> String {
    let is_space = |character: char| matches!(character, ' ' | '\t'..='\r');
    let words: Vec<&str> = text
        .split(is_space)
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::super::pem;
    use super::*;

    /// Made with openssl(1), whose numbers these are.
    const MADE: &[u8] = include_bytes!("subjects.pem");

    #[test]
    fn hashes_as_openssl_does() {
        let found = pem::find(MADE);
        let text = String::from_utf8_lossy(MADE);
        let wanted: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .collect();
        assert_eq!(found.len(), wanted.len());
        for (one, wanted) in found.iter().zip(wanted) {
            let bytes = pem::decode(&one.base64).unwrap();
            assert_eq!(hash(&bytes).as_deref(), wanted.split(' ').next());
            // Whatever is cut off, it is none.
            for length in 0..bytes.len() {
                assert!(hash(&bytes[..length]).is_none());
            }
        }
    }
}
