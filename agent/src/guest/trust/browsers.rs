//! Browsers, which bring roots of their own and look at none of the system's: their policies name others. A policy is a file that
//! is there before the browser is, so one that is installed later believes them too.

use super::pem::Base64;
use super::{places, publish, OWN};
use std::fs;
use std::io::Result;

/// Where Chromium and what is built of it look for files of policies (chromium's policy_path of each brand).
const CHROMIUM: [&str; 4] = [
    "/etc/chromium/policies/managed",
    "/etc/opt/chrome/policies/managed",
    "/etc/opt/chrome_for_testing/policies/managed",
    "/etc/opt/edge/policies/managed",
];
/// Of several files that set the same the last in the order of names counts: any of the image's own.
const NAME: &str = "00-microsandbox-ca.json";
/// Firefox has one file for all.
const FIREFOX: &str = "/etc/firefox/policies/policies.json";

/// Writes the policies, or takes them away where nothing is wanted. `authority`: of the certificates the one that is in a file in
/// [OWN]: Firefox takes a file for each.
pub fn renew(top: &str, wanted: &[Base64], authority: bool) -> Result<()> {
    for directory in CHROMIUM {
        let path = format!("{top}{directory}/{NAME}");
        put(&path, &chromium(wanted), wanted.is_empty())?;
    }
    let path = format!("{top}{FIREFOX}");
    let text = firefox();
    match fs::read(&path) {
        Ok(found) if found != text.as_bytes() => {
            if authority {
                eprintln!(
                    "agent: {FIREFOX} is the image's own: Firefox does not believe the authority"
                );
            }
            Ok(())
        }
        _ => put(&path, &text, !authority),
    }
}

fn put(path: &str, text: &str, is_gone: bool) -> Result<()> {
    match is_gone {
        true => places::remove(path),
        false => publish::write_own(path, text.as_bytes()),
    }
}

/// The policy CACertificates: DER in base64, as PEM has it.
fn chromium(wanted: &[Base64]) -> String {
    let quoted: Vec<String> = wanted
        .iter()
        .map(|base64| format!("\"{}\"", String::from_utf8_lossy(base64)))
        .collect();
    format!("{{\"CACertificates\":[{}]}}\n", quoted.join(","))
}

fn firefox() -> String {
    format!("{{\"policies\":{{\"Certificates\":{{\"Install\":[\"{OWN}/ca.pem\"]}}}}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policies_are_what_browsers_read() {
        let wanted = [b"AA==".to_vec(), b"BBBB".to_vec()];
        assert_eq!(
            chromium(&wanted),
            "{\"CACertificates\":[\"AA==\",\"BBBB\"]}\n"
        );
        assert_eq!(
            firefox(),
            "{\"policies\":{\"Certificates\":{\"Install\":[\"/.msb/tls/ca.pem\"]}}}\n"
        );
    }
}
