//! What programs are told of certificates by their environment: those that have roots of their own, and look nowhere else.

use super::{publish, OWN};
use std::io::Result;
use std::path::{Path, PathBuf};

/// A file of all that is believed.
pub struct Bundle {
    /// Where programs look for it. None: in no such place.
    pub path: Option<&'static str>,
    /// Where the links lead that are there.
    pub real: Option<PathBuf>,
    pub text: Vec<u8>,
}

/// - SSL_CERT_FILE: OpenSSL and what has its habits: Python, Go, Ruby, curl, rustls. Debian's OpenSSL would find the links.
/// - REQUESTS_CA_BUNDLE: Python's requests and pip, which bring roots of their own unless Debian has built them.
/// - CURL_CA_BUNDLE: curl that has a path of its own compiled in.
/// - GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: grpc for Python, which brings its own, and does not ask OpenSSL.
const ALL: [&str; 4] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
];
/// Only where the library that they use has the wrong path compiled in: it would outdo their settings.
const ELSEWHERE: [&str; 1] = ["GIT_SSL_CAINFO"];
/// These add to what a program brings.
const AUTHORITY_ALONE: [&str; 2] = ["NODE_EXTRA_CA_CERTS", "DENO_CERT"];

/// As `NAME=value`. `mounted`: a bundle that is hidden by one of these is in memory, too.
pub fn variables(top: &str, bundle: &Bundle, mounted: &[&str]) -> Result<Vec<String>> {
    let is_hidden = |path: &Path| mounted.iter().any(|mount| path.starts_with(mount));
    let in_place = bundle.path.filter(|path| {
        !is_hidden(Path::new(path)) && !bundle.real.as_deref().map_or(false, is_hidden)
    });
    let (path, others) = match in_place {
        Some(path) => (String::from(path), &[][..]),
        None => {
            let path = format!("{OWN}/ca-bundle.pem");
            publish::write_own(&format!("{top}{path}"), &bundle.text)?;
            (path, &ELSEWHERE[..])
        }
    };
    let of_bundle = ALL
        .iter()
        .chain(others)
        .map(|name| format!("{name}={path}"));
    let of_authority = AUTHORITY_ALONE
        .iter()
        .map(|name| format!("{name}={OWN}/ca.pem"));
    Ok(of_bundle.chain(of_authority).collect())
}
