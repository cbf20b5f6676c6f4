//! Whom the programs of a sandbox believe: certificates of the host's choice, put where those of the image are.
//!
//! Every root has them in `/.msb/tls`. A root of the sandbox's own gets them as its distribution's tools would put them there, so
//! that those tools leave them in; in one of the user's nothing is written, but the bundle is mounted over. The environment says
//! the rest. All of it is done before anything of the image runs, and again at each start: what a former start has left is
//! taken away. A template of an image has it done for the sandboxes that are to believe the same.

mod browsers;
mod bundle;
mod der;
mod environment;
mod java;
mod links;
mod nss;
mod pem;
mod publish;
mod sha1;
mod subject;
#[cfg(test)]
mod tests;

use crate::failure::{While, GUEST};
use crate::generated::messages::{BootFailed, GuestTrust};
use crate::guest::places;
use crate::root::Owner;
use crate::sys;
use environment::Bundle;
use pem::Base64;
use publish::Existing;
use std::fs;
use std::io::{Error, Result};
use std::os::unix::fs::symlink;

const OWN: &str = "/.msb/tls";
const WHAT: &str = "certificates";
/// The first that is there is the one.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];
/// Where Debian's and Alpine's update-ca-certificates(8) look for what is not their own, and Fedora's update-ca-trust(8).
const LOCAL: [(&str, &str); 2] = [
    ("/usr/local/share/ca-certificates", "crt"),
    ("/etc/pki/ca-trust/source/anchors", "pem"),
];
/// Which OpenSSL looks into.
const HASHED: &str = "/etc/ssl/certs";
/// The files of the authority and those of the host's roots, without what they end in.
const AUTHORITY: &str = "microsandbox-ca";
const HOST_ROOTS: &str = "microsandbox-host-cas";

/// What was installed, and where.
pub struct Installed {
    trust: Option<GuestTrust>,
    /// None: nothing is installed.
    bundle: Option<Bundle>,
}

impl Installed {
    /// What commands are told of it, as `NAME=value`. `mounted`: what is going to be mounted over the root.
    fn variables(&self, top: &str, mounted: &[&str]) -> Result<Vec<String>> {
        match (&self.trust, &self.bundle) {
            (Some(trust), Some(bundle)) if trust.authority.is_some() => {
                environment::variables(top, bundle, mounted)
            }
            _ => Ok(Vec::new()),
        }
    }
}

/// Installs what a guest is to believe, and takes away what it was to believe before.
pub fn install(
    trust: Option<&GuestTrust>,
    owner: Owner,
) -> std::result::Result<Installed, BootFailed> {
    Installation { top: "", owner }.run(trust)
}

/// Installs it unless that is done.
///
/// `installed`: in this root, of which nothing was changed since. `mounted`: what is going to be mounted over the root. Returns
/// variables for every command, as `NAME=value`.
pub fn renew(
    trust: Option<&GuestTrust>,
    owner: Owner,
    mounted: &[&str],
    installed: Option<Installed>,
) -> std::result::Result<Vec<String>, BootFailed> {
    let installed = match installed {
        Some(installed) if installed.trust.as_ref() == trust => installed,
        _ => install(trust, owner)?,
    };
    installed.variables("", mounted).during(GUEST, WHAT)
}

/// Into a root at `top`, which is empty but in tests.
struct Installation<'a> {
    top: &'a str,
    owner: Owner,
}

/// Some of the certificates, with the name of their files.
pub struct Group {
    name: &'static str,
    former: Vec<Base64>,
    wanted: Vec<Base64>,
}

impl Installation<'_> {
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.top)
    }

    fn run(&self, trust: Option<&GuestTrust>) -> std::result::Result<Installed, BootFailed> {
        let authority = trust.and_then(|trust| trust.authority.as_deref());
        let host_roots = trust.map_or(&[][..], |trust| &trust.host_roots);
        let groups = [
            self.group(AUTHORITY, authority.unwrap_or_default().as_bytes()),
            self.group(HOST_ROOTS, host_roots.concat().as_bytes()),
        ];
        let mut installed = Installed {
            trust: trust.cloned(),
            bundle: None,
        };
        let is_idle = |group: &Group| group.former.is_empty() && group.wanted.is_empty();
        if groups.iter().all(is_idle) {
            return Ok(installed);
        }
        for (group, name) in groups.iter().zip(["ca.pem", "host-cas.pem"]) {
            if !group.wanted.is_empty() {
                let path = self.at(&format!("{OWN}/{name}"));
                publish::write_own(&path, &pem::file_of(&group.wanted)).during(GUEST, &path)?;
            }
        }
        installed.bundle = Some(self.install_all(groups).during(GUEST, WHAT)?);
        Ok(installed)
    }

    /// `text`: certificates in PEM.
    fn group(&self, name: &'static str, text: &[u8]) -> Group {
        let certificates =
            |text: &[u8]| pem::find(text).into_iter().map(|one| one.base64).collect();
        let former = match self.owner {
            Owner::Sandbox => Some(self.copy(LOCAL[0], name)),
            Owner::User => None,
        };
        // Nearly always there is none, which is quickly seen.
        let former = former
            .filter(|path| fs::symlink_metadata(path).is_ok())
            .and_then(publish::read);
        Group {
            name,
            former: former.map_or_else(Vec::new, |file| certificates(&file.content)),
            wanted: certificates(text),
        }
    }

    fn copy(&self, (directory, extension): (&str, &str), name: &str) -> String {
        self.at(&format!("{directory}/{name}.{extension}"))
    }

    fn install_all(&self, groups: [Group; 2]) -> Result<Bundle> {
        let found = BUNDLES.iter().find_map(|path| {
            let existing = publish::read(self.at(path))?;
            Some((*path, existing))
        });
        let text = found.as_ref().map_or(&[][..], |(_, old)| &old.content);
        let all = |of: fn(&Group) -> &Vec<Base64>| {
            groups.iter().flat_map(of).cloned().collect::<Vec<_>>()
        };
        let former = all(|group| &group.former);
        let renewed = bundle::renew(text, &former, &all(|group| &group.wanted));
        // What the image believes by itself is none of ours.
        let groups = groups.map(|group| Group {
            wanted: group
                .wanted
                .into_iter()
                .filter(|one| renewed.added.contains(one))
                .collect(),
            ..group
        });
        if self.owner == Owner::Sandbox {
            // First: who is killed before the bundle is written finds out next time what is not to be in it.
            self.tell("copies of certificates", self.copy_all(&groups, true));
        }
        let bundle = self.put_bundle(found, &renewed.text)?;
        if self.owner == Owner::Sandbox {
            self.tell("copies of certificates", self.copy_all(&groups, false));
            self.tell(HASHED, groups.iter().try_for_each(|group| self.link(group)));
            self.tell_browsers(&groups);
        }
        java::renew_all(self.top, self.owner, &groups);
        Ok(bundle)
    }

    /// The sandbox works without: the environment leads nearly all programs to what is in `/.msb`.
    fn tell(&self, what: &str, result: Result<()>) {
        if let Err(error) = result {
            eprintln!("agent: {what}: {error}");
        }
    }

    /// `with_former`: until nothing of a former start is left elsewhere.
    fn copy_all(&self, groups: &[Group], with_former: bool) -> Result<()> {
        for group in groups {
            if with_former && (group.former.is_empty() || group.former == group.wanted) {
                continue;
            }
            let former = group.former.iter().filter(|_| with_former);
            let text = pem::file_of(former.chain(&group.wanted));
            for place in LOCAL {
                let path = self.copy(place, group.name);
                if !text.is_empty() {
                    publish::write_own(&path, &text)?;
                } else if !group.former.is_empty() {
                    places::remove(&path)?;
                }
            }
        }
        Ok(())
    }

    fn put_bundle(&self, found: Option<(&'static str, Existing)>, text: &[u8]) -> Result<Bundle> {
        let memory = self.at(&format!("{OWN}/ca-bundle.pem"));
        let put = match &found {
            Some((_, old)) if old.content == text => Ok(()),
            Some((_, old)) => publish::replace(self.top, self.owner, old, text, &memory),
            None if self.owner == Owner::Sandbox => publish::write_own(&self.at(BUNDLES[0]), text),
            None => Err(Error::from_raw_os_error(sys::EROFS)),
        };
        let path = found.as_ref().map_or(BUNDLES[0], |(path, _)| path);
        let real = found.map(|(_, old)| old.path);
        if let Err(error) = put {
            eprintln!("agent: {path} is as it was: {error}");
            publish::write_own(&memory, text)?;
            return Ok(Bundle {
                path: None,
                real: None,
                text: text.to_vec(),
            });
        }
        Ok(Bundle {
            path: Some(path),
            real,
            text: text.to_vec(),
        })
    }

    fn tell_browsers(&self, groups: &[Group; 2]) {
        let wanted = groups.iter().flat_map(|group| &group.wanted);
        let wanted: Vec<Base64> = wanted.cloned().collect();
        let authority = &groups[0];
        let (former, new) = (authority.former.first(), authority.wanted.first());
        self.tell(
            "policies",
            browsers::renew(self.top, &wanted, new.is_some()),
        );
        self.tell("databases", nss::renew_all(self.top, former, new));
    }

    /// As update-ca-certificates(8) would make them. It makes Java's packages, when they are installed, find the certificates, too.
    fn link(&self, group: &Group) -> Result<()> {
        let directory = self.at(HASHED);
        if !places::is_directory(&directory) {
            return Ok(());
        }
        let name = format!("{}.pem", group.name);
        let path = format!("{directory}/{name}");
        let gone: Vec<Base64> = group
            .former
            .iter()
            .filter(|one| !group.wanted.contains(one))
            .cloned()
            .collect();
        links::remove(&directory, &name, &gone)?;
        if group.wanted.is_empty() {
            return if group.former.is_empty() {
                Ok(())
            } else {
                places::remove(&path)
            };
        }
        let target = format!("{}/{}.crt", LOCAL[0].0, group.name);
        if fs::read_link(&path).map_or(true, |found| found.to_str() != Some(&target)) {
            places::remove(&path)?;
            symlink(&target, &path)?;
        }
        links::add(&directory, &name, &group.wanted)
    }
}
