//! Java's own store of whom it believes, where it is of the kind JKS, as Debian makes it. Anybody may add to it: its password is
//! no secret, and protects its digest only. The format is that of the JDK's sun.security.provider.JavaKeyStore:
//!
//! magic, version, number of entries (u32 each); for a certificate: 2 (u32), alias (u16 length, bytes), ms since 1970 (u64), "X.509"
//! (as an alias), length (u32), DER. At the end a digest of the password, two words and all before. All numbers are big-endian.

use super::super::sha1::sha1;
use super::{Named, Renewed, Unreadable};

const MAGIC: u32 = 0xfeed_feed;
const VERSION: u32 = 2;
const CERTIFICATE: u32 = 2;
const PASSWORD: &str = "changeit";
const WHITENER: &[u8] = b"Mighty Aphrodite";
const DIGEST: usize = 20;

/// A store in which the sandbox's certificates are the wanted ones.
///
/// `is_ours`: whether a name is of a certificate that was put there for a sandbox.
pub fn renew(store: &[u8], wanted: &[Named], is_ours: fn(&str) -> bool, now_ms: u64) -> Renewed {
    let Split { kept, count, ours } = split(store, is_ours).ok_or(Unreadable)?;
    if ours == wanted {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(kept.len() + 4096);
    for number in [MAGIC, VERSION, count + wanted.len() as u32] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&kept);
    for (alias, der) in wanted {
        out.extend_from_slice(&CERTIFICATE.to_be_bytes());
        append_text(&mut out, alias);
        out.extend_from_slice(&now_ms.to_be_bytes());
        append_text(&mut out, "X.509");
        out.extend_from_slice(&(der.len() as u32).to_be_bytes());
        out.extend_from_slice(der);
    }
    let digest = digest_of(&out);
    out.extend_from_slice(&digest);
    Ok(Some(out))
}

/// What is in a store.
struct Split {
    /// The entries that are not the sandbox's.
    kept: Vec<u8>,
    count: u32,
    ours: Vec<Named>,
}

fn split(store: &[u8], is_ours: fn(&str) -> bool) -> Option<Split> {
    let (data, digest) = store.split_at(store.len().checked_sub(DIGEST)?);
    let mut reader = Reader(data);
    let (magic, version, all) = (reader.u32()?, reader.u32()?, reader.u32()?);
    if (magic, version) != (MAGIC, VERSION) {
        return None;
    }
    let (mut kept, mut count) = (Vec::with_capacity(store.len()), 0);
    let mut ours = Vec::new();
    for _ in 0..all {
        let before = reader.0;
        let (alias, der) = entry(&mut reader)?;
        if is_ours(&alias) {
            ours.push((alias, der.to_vec()));
        } else {
            kept.extend_from_slice(&before[..before.len() - reader.0.len()]);
            count += 1;
        }
    }
    let is_whole = reader.0.is_empty() && digest_of(data) == digest;
    is_whole.then(|| Split { kept, count, ours })
}

fn entry<'a>(reader: &mut Reader<'a>) -> Option<(String, &'a [u8])> {
    // A private key is not to be touched.
    if reader.u32()? != CERTIFICATE {
        return None;
    }
    let alias = reader.text()?;
    reader.take(8)?;
    reader.text()?;
    let length = reader.u32()?;
    Some((alias, reader.take(length as usize)?))
}

fn digest_of(data: &[u8]) -> [u8; DIGEST] {
    let password: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_be_bytes).collect();
    sha1(&[&password, WHITENER, data])
}

fn append_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        if self.0.len() < length {
            return None;
        }
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?;
        Some(
            bytes
                .iter()
                .fold(0, |sum, &byte| sum << 8 | u32::from(byte)),
        )
    }

    /// Names of other than ASCII letters are written in a way of Java's own. They are not ours.
    fn text(&mut self) -> Option<String> {
        let length = self
            .take(2)?
            .iter()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        Some(String::from_utf8_lossy(self.take(length)?).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::pem;
    use super::*;

    /// Made by keytool(1) of OpenJDK 17: one certificate, "theirs".
    const STORE: &str = "/u3+7QAAAAIAAAABAAAAAgAGdGhlaXJzAAABoivxCQYABVguNTA5AAABUDCCAUwwgfMCFCxbfAeb2Eu2TBoVPp4dP9Xe6T6W\
        MAoGCCqGSM49BAMCMCgxFTATBgNVBAMeDABjAGEAZgDpACAAQjEPMA0GA1UECh4GTi0AIABYMCAXDTI2MTEzMDEwMTEzM1oY\
        DzIxMjYxMTA2MTAxMTMzWjAoMRUwEwYDVQQDHgwAYwBhAGYA6QAgAEIxDzANBgNVBAoeBk4tACAAWDBZMBMGByqGSM49AgEG\
        CCqGSM49AwEHA0IABKVltW6j3FME18xuUa7yfbwHVSQRwk8xxDhalOlSVdp16BHu3JIQDG0xzts9/VAQy7Sc1X0ALdk7UDyu\
        A/Uv/JcwCgYIKoZIzj0EAwIDSAAwRQIhALYr6oJ10mKTsqvpqULo5t+BQx/Qd613FofBqm2W3xQMAiBiAwfOvjZn9gNPaf93\
        tL/Nga4m5PQhcIc/q7gyS0+M664CviSwODNrcXSk+adCxW8oT2hw";

    fn store() -> Vec<u8> {
        pem::decode(STORE.as_bytes()).unwrap()
    }

    fn is_ours(alias: &str) -> bool {
        alias.starts_with("ours")
    }

    fn wanted(der: &[u8]) -> Vec<Named> {
        vec![(String::from("ours"), der.to_vec())]
    }

    #[test]
    fn adds_replaces_and_removes_its_own_entry() {
        let renewed = |store: &[u8], wanted: &[Named]| renew(store, wanted, is_ours, 7);
        let first = renewed(&store(), &wanted(b"first")).unwrap().unwrap();
        assert_eq!(renewed(&first, &wanted(b"first")), Ok(None));
        let second = renewed(&first, &wanted(b"second, longer"));
        let second = second.unwrap().unwrap();
        assert_eq!(second.len(), first.len() + 9);
        assert_eq!(renewed(&second, &[]), Ok(Some(store())));
        assert_eq!(renewed(&store(), &[]), Ok(None));
    }

    #[test]
    fn leaves_alone_what_it_cannot_read_whole() {
        let renewed = |store: &[u8]| renew(store, &wanted(b"x"), is_ours, 7);
        let whole = store();
        for length in 0..whole.len() {
            assert_eq!(renewed(&whole[..length]), Err(Unreadable));
        }
        // Whatever byte is another one, the digest is.
        for at in 0..whole.len() {
            let mut store = whole.clone();
            store[at] ^= 1;
            assert_eq!(renewed(&store), Err(Unreadable));
        }
    }
}
