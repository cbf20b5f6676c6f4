//! The file of all certificates that an image believes: the sandbox's are put behind the image's own.

use super::pem::{self, Base64};

/// What becomes of a bundle.
pub struct Renewed {
    pub text: Vec<u8>,
    /// Those of the wanted ones that it did not have by itself.
    pub added: Vec<Base64>,
}

/// Takes out what a former start has put in, and puts in what it has not.
///
/// The last of several of one kind is taken out: what tools of the image add is in front of what is not theirs.
pub fn renew(text: &[u8], former: &[Base64], wanted: &[Base64]) -> Renewed {
    let found = pem::find(text);
    let gone: Vec<usize> = former
        .iter()
        .filter_map(|base64| found.iter().rposition(|one| one.base64 == *base64))
        .collect();
    let mut out = Vec::with_capacity(text.len() + 4096);
    let mut copied = 0;
    for (_, one) in found
        .iter()
        .enumerate()
        .filter(|(index, _)| gone.contains(index))
    {
        out.extend_from_slice(&text[copied..one.start]);
        copied = one.end;
    }
    out.extend_from_slice(&text[copied..]);
    let is_kept = |base64: &Base64| {
        let mut others = found
            .iter()
            .enumerate()
            .filter(|(index, _)| !gone.contains(index));
        others.any(|(_, one)| one.base64 == *base64)
    };
    let mut added = Vec::new();
    for base64 in wanted {
        if !added.contains(base64) && !is_kept(base64) {
            pem::append(&mut out, base64);
            added.push(base64.clone());
        }
    }
    Renewed { text: out, added }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificates(names: &str) -> Vec<Base64> {
        names.bytes().map(|name| vec![name; 70]).collect()
    }

    fn names(text: &[u8]) -> String {
        pem::find(text)
            .iter()
            .map(|one| one.base64[0] as char)
            .collect()
    }

    fn renewed(text: &str, former: &str, wanted: &str) -> (String, String) {
        let text = pem::file_of(&certificates(text));
        let Renewed { text, added } = renew(&text, &certificates(former), &certificates(wanted));
        let added = added.iter().map(|base64| base64[0] as char).collect();
        (names(&text), added)
    }

    fn pair(text: &str, added: &str) -> (String, String) {
        (String::from(text), String::from(added))
    }

    #[test]
    fn adds_once_what_is_not_there() {
        assert_eq!(renewed("ab", "", "xbx"), pair("abx", "x"));
        assert_eq!(renewed("", "", "x"), pair("x", "x"));
    }

    #[test]
    fn a_new_authority_takes_the_place_of_the_former_one() {
        assert_eq!(renewed("abx", "x", "x"), pair("abx", "x"));
        assert_eq!(renewed("abx", "x", "y"), pair("aby", "y"));
        assert_eq!(renewed("axb", "x", "y"), pair("aby", "y"));
        // A tool of the image has made the bundle without it.
        assert_eq!(renewed("ab", "x", "y"), pair("aby", "y"));
        assert_eq!(renewed("abx", "x", ""), pair("ab", ""));
    }

    #[test]
    fn what_has_become_the_images_own_stays() {
        // Packages have brought what was only the host's before.
        assert_eq!(renewed("abxa", "xa", ""), pair("ab", ""));
        assert_eq!(renewed("abxa", "xa", "ya"), pair("aby", "y"));
    }

    #[test]
    fn other_bytes_stay_as_they_are() {
        let mut text = b"# caf\xe9\n".to_vec();
        pem::append(&mut text, &[b'a'; 10]);
        text.extend_from_slice(b"no newline at the end");
        let once = renew(&text, &[], &certificates("x")).text;
        assert!(once.starts_with(&text));
        assert_eq!(
            renew(&once, &certificates("x"), &certificates("x")).text,
            once
        );
        let mut with_newline = text.clone();
        with_newline.push(b'\n');
        assert_eq!(renew(&once, &certificates("x"), &[]).text, with_newline);
    }
}
