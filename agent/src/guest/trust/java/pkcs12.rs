//! Java's own store of whom it believes, where it is of the kind PKCS #12 (RFC 7292) without a password, as Java's makers ship it
//! since 18: neither encrypted nor signed. An entry that Java believes has an attribute that says so (JDK's
//! sun.security.pkcs12.PKCS12KeyStore).

use super::super::der::{self, Value};
use super::{Named, Renewed, Unreadable};

const VERSION: &[u8] = &[3];
/// Object identifiers, encoded: id-data (1.2.840.113549.1.7.1), certBag (1.2.840.113549.1.12.10.1.3), x509Certificate
/// (1.2.840.113549.1.9.22.1), friendlyName (1.2.840.113549.1.9.20).
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const CERTIFICATE_BAG: &[u8] = &[
    0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x03,
];
const X509: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
const FRIENDLY_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x14];
/// Oracle's trustedKeyUsage (2.16.840.1.113894.746875.1.1), with anyExtendedKeyUsage (2.5.29.37.0) as its value.
const TRUSTED_USAGE: &[u8] = &[
    0x60, 0x86, 0x48, 0x01, 0x86, 0xf9, 0x66, 0xad, 0xca, 0x7b, 0x01, 0x01,
];
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];

/// A store in which the sandbox's certificates are the wanted ones.
///
/// `is_ours`: whether a name is of a certificate that was put there for a sandbox.
pub fn renew(store: &[u8], wanted: &[Named], is_ours: fn(&str) -> bool) -> Renewed {
    let (kept, ours) = split(store, is_ours).ok_or(Unreadable)?;
    if ours == wanted {
        return Ok(None);
    }
    let bags = kept.into_iter().chain(wanted.iter().map(bag));
    let content = der::encode(der::SEQUENCE, &bags.collect::<Vec<_>>().concat());
    let safe = der::encode(der::SEQUENCE, &data(&content));
    let version = der::encode(der::INTEGER, VERSION);
    Ok(Some(sequence(&[&version, &data(&safe)])))
}

/// The bags that are not the sandbox's, encoded, and those that are.
fn split(store: &[u8], is_ours: fn(&str) -> bool) -> Option<(Vec<Vec<u8>>, Vec<Named>)> {
    let parts = whole(store, der::SEQUENCE)?;
    let safe = match der::all(parts)?[..] {
        // A third one would be a digest that depends on a password.
        [version, safe] if (version.tag, version.content) == (der::INTEGER, VERSION) => safe,
        _ => return None,
    };
    let (mut kept, mut ours) = (Vec::new(), Vec::new());
    for content in der::all(whole(content_of(safe)?, der::SEQUENCE)?)? {
        for bag in der::all(whole(content_of(content)?, der::SEQUENCE)?)? {
            match named(bag)? {
                (Some(name), certificate) if is_ours(&name) => {
                    ours.push((name, certificate.to_vec()))
                }
                _ => kept.push(der::encode(bag.tag, bag.content)),
            }
        }
    }
    Some((kept, ours))
}

/// Of a ContentInfo that is plain data. None: it is another kind, such as one that is encrypted.
fn content_of(info: Value<'_>) -> Option<&[u8]> {
    let (kind, content) = pair(info, der::SEQUENCE)?;
    if (kind.tag, kind.content) != (der::OBJECT, DATA) || content.tag != der::TAG_0 {
        return None;
    }
    whole(content.content, der::OCTET_STRING)
}

/// The name and the certificate of a bag. None: it is no certificate's.
fn named(bag: Value<'_>) -> Option<(Option<String>, &[u8])> {
    let parts = der::all(bag.content)?;
    let (kind, content) = (parts.first()?, parts.get(1)?);
    if bag.tag != der::SEQUENCE || (kind.tag, kind.content) != (der::OBJECT, CERTIFICATE_BAG) {
        return None;
    }
    let (kind, certificate) = pair(der::take(&mut &*content.content)?, der::SEQUENCE)?;
    if kind.content != X509 {
        return None;
    }
    let certificate = whole(certificate.content, der::OCTET_STRING)?;
    let attributes = parts
        .get(2)
        .map_or(&[][..], |attributes| attributes.content);
    let mut name = None;
    for attribute in der::all(attributes)? {
        let (kind, values) = pair(attribute, der::SEQUENCE)?;
        if kind.content == FRIENDLY_NAME {
            let units = whole(values.content, der::BMP_STRING)?.chunks(2);
            let units: Vec<u16> = units
                .map(|unit| unit.iter().fold(0, |sum, &byte| sum << 8 | u16::from(byte)))
                .collect();
            name = Some(String::from_utf16_lossy(&units).to_lowercase());
        }
    }
    Some((name, certificate))
}

fn bag((name, certificate): &Named) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let name = der::encode(der::BMP_STRING, &name);
    let usage = der::encode(der::OBJECT, ANY_USAGE);
    let attribute = |kind: &[u8], value: &[u8]| {
        let kind = der::encode(der::OBJECT, kind);
        sequence(&[&kind, &der::encode(der::SET, value)])
    };
    let mut attributes = [
        attribute(FRIENDLY_NAME, &name),
        attribute(TRUSTED_USAGE, &usage),
    ];
    // X.690, 11.6.
    attributes.sort();
    let kind = der::encode(der::OBJECT, CERTIFICATE_BAG);
    let x509 = der::encode(der::OBJECT, X509);
    let certificate = tagged(&der::encode(der::OCTET_STRING, certificate));
    let content = tagged(&sequence(&[&x509, &certificate]));
    let attributes = der::encode(der::SET, &attributes.concat());
    sequence(&[&kind, &content, &attributes])
}

/// A ContentInfo.
fn data(content: &[u8]) -> Vec<u8> {
    let kind = der::encode(der::OBJECT, DATA);
    sequence(&[&kind, &tagged(&der::encode(der::OCTET_STRING, content))])
}

fn tagged(content: &[u8]) -> Vec<u8> {
    der::encode(der::TAG_0, content)
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der::encode(der::SEQUENCE, &parts.concat())
}

/// The content of the one value that these bytes are.
fn whole(mut bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let content = der::take_tagged(&mut bytes, tag)?;
    bytes.is_empty().then(|| content)
}

fn pair<'a>(value: Value<'a>, tag: u8) -> Option<(Value<'a>, Value<'a>)> {
    match der::all(value.content)?[..] {
        [first, second] if value.tag == tag => Some((first, second)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::pem;
    use super::*;

    /// Made by keytool(1) of OpenJDK 17 without a password: one certificate, "theirs".
    const STORE: &str = "MIIB7QIBAzCCAeYGCSqGSIb3DQEHAaCCAdcEggHTMIIBzzCCAcsGCSqGSIb3DQEHAaCCAbwEggG4MIIBtDCCAbAGCyqGSIb3\
        DQEMCgEDoIIBaDCCAWQGCiqGSIb3DQEJFgGgggFUBIIBUDCCAUwwgfMCFCxbfAeb2Eu2TBoVPp4dP9Xe6T6WMAoGCCqGSM49\
        BAMCMCgxFTATBgNVBAMeDABjAGEAZgDpACAAQjEPMA0GA1UECh4GTi0AIABYMCAXDTI2MTEzMDEwMTEzM1oYDzIxMjYxMTA2\
        MTAxMTMzWjAoMRUwEwYDVQQDHgwAYwBhAGYA6QAgAEIxDzANBgNVBAoeBk4tACAAWDBZMBMGByqGSM49AgEGCCqGSM49AwEH\
        A0IABKVltW6j3FME18xuUa7yfbwHVSQRwk8xxDhalOlSVdp16BHu3JIQDG0xzts9/VAQy7Sc1X0ALdk7UDyuA/Uv/JcwCgYI\
        KoZIzj0EAwIDSAAwRQIhALYr6oJ10mKTsqvpqULo5t+BQx/Qd613FofBqm2W3xQMAiBiAwfOvjZn9gNPaf93tL/Nga4m5PQh\
        cIc/q7gyS0+M6zE1MBsGCSqGSIb3DQEJFDEOHgwAdABoAGUAaQByAHMwFgYMYIZIAYb5Zq3KewEBMQYGBFUdJQA=";

    fn store() -> Vec<u8> {
        pem::decode(STORE.as_bytes()).unwrap()
    }

    fn is_ours(name: &str) -> bool {
        name.starts_with("ours")
    }

    fn wanted(der: &[u8]) -> Vec<Named> {
        vec![(String::from("ours"), der.to_vec())]
    }

    #[test]
    fn adds_replaces_and_removes_its_own_entry() {
        let renewed = |store: &[u8], wanted: &[Named]| renew(store, wanted, is_ours);
        let first = renewed(&store(), &wanted(b"first")).unwrap().unwrap();
        assert_eq!(renewed(&first, &wanted(b"first")), Ok(None));
        let second = renewed(&first, &wanted(&[7; 300])).unwrap().unwrap();
        assert_eq!(renewed(&second, &[]), Ok(Some(store())));
        assert_eq!(renewed(&store(), &[]), Ok(None));
    }

    #[test]
    fn leaves_alone_what_it_cannot_read_whole() {
        let renewed = |store: &[u8]| renew(store, &wanted(b"x"), is_ours);
        let whole = store();
        for length in 0..whole.len() {
            assert_eq!(renewed(&whole[..length]), Err(Unreadable));
        }
        // Whatever byte is another one, nothing is lost of the rest and nothing fails.
        for at in 0..whole.len() {
            let mut store = whole.clone();
            store[at] ^= 1;
            if let Ok(Some(renewed)) = renewed(&store) {
                assert!(renewed.len() > whole.len());
            }
        }
        // A digest at its end depends on a password.
        let inner = super::whole(&whole, der::SEQUENCE).unwrap();
        let signed = der::encode(der::SEQUENCE, &[inner, &sequence(&[])].concat());
        assert_eq!(renewed(&signed), Err(Unreadable));
    }
}
