use super::*;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Five certificates, made with openssl(1).
const CERTIFICATES: &[u8] = include_bytes!("subjects.pem");

fn certificate(index: usize) -> String {
    let found = pem::find(CERTIFICATES);
    String::from_utf8(pem::file_of([&found[index].base64])).unwrap()
}

fn trust(authority: Option<usize>, host_roots: &[usize]) -> GuestTrust {
    GuestTrust {
        authority: authority.map(certificate),
        host_roots: host_roots.iter().map(|&index| certificate(index)).collect(),
    }
}

/// A root file system of a test's own.
struct Scratch(String);

impl Scratch {
    fn new(name: &str, files: &[&str]) -> Scratch {
        let path = std::env::temp_dir().join(format!("agent-trust-{name}-{}", std::process::id()));
        let scratch = Scratch(path.to_str().unwrap().to_owned());
        fs::create_dir_all(&path).unwrap();
        for file in files {
            scratch.write(file, &certificate(4));
        }
        scratch
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(Path::new(&self.at(path)).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    fn install(&self, trust: Option<&GuestTrust>) -> Vec<String> {
        self.installation()
            .run(trust)
            .and_then(|done| done.variables(&self.0, &["/data"]).during(GUEST, WHAT))
            .unwrap()
    }

    fn installation(&self) -> Installation<'_> {
        Installation {
            top: &self.0,
            owner: Owner::Sandbox,
        }
    }

    /// Every file below a directory, with its content, or what it leads to.
    fn all(&self, directory: &str) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(self.at(directory))
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = format!("{directory}/{}", entry.file_name().to_str().unwrap());
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                all.append(&mut self.all(&path));
            } else if kind.is_symlink() {
                let target = fs::read_link(entry.path()).unwrap();
                all.insert(path, format!("-> {}", target.display()));
            } else {
                all.insert(path.clone(), self.read(&path));
            }
        }
        all
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const DEBIAN: &str = "/etc/ssl/certs/ca-certificates.crt";

#[test]
fn the_authority_is_where_the_tools_of_distributions_would_put_it() {
    let scratch = Scratch::new("places", &[DEBIAN]);
    let environment = scratch.install(Some(&trust(Some(0), &[])));
    let (own, ca) = (certificate(4), certificate(0));
    let policy = format!(
        "{{\"CACertificates\":[\"{}\"]}}\n",
        String::from_utf8_lossy(&pem::find(CERTIFICATES)[0].base64)
    );
    let firefox = "{\"policies\":{\"Certificates\":{\"Install\":[\"/.msb/tls/ca.pem\"]}}}\n";
    let chromium = "policies/managed/00-microsandbox-ca.json";
    let copy = "/usr/local/share/ca-certificates/microsandbox-ca.crt";
    let wanted = [
        ("/.msb/tls/ca.pem", ca.clone()),
        (
            "/etc/pki/ca-trust/source/anchors/microsandbox-ca.pem",
            ca.clone(),
        ),
        (
            "/etc/ssl/certs/700c3057.0",
            String::from("-> microsandbox-ca.pem"),
        ),
        (DEBIAN, own + &ca),
        ("/etc/ssl/certs/microsandbox-ca.pem", format!("-> {copy}")),
        (copy, ca),
        ("/etc/firefox/policies/policies.json", String::from(firefox)),
    ];
    let mut wanted: BTreeMap<String, String> =
        wanted.map(|(path, text)| (String::from(path), text)).into();
    for brand in [
        "chromium",
        "opt/chrome",
        "opt/chrome_for_testing",
        "opt/edge",
    ] {
        wanted.insert(format!("/etc/{brand}/{chromium}"), policy.clone());
    }
    assert_eq!(scratch.all(""), wanted);
    for entry in [
        format!("SSL_CERT_FILE={DEBIAN}"),
        String::from("NODE_EXTRA_CA_CERTS=/.msb/tls/ca.pem"),
    ] {
        assert!(environment.contains(&entry), "{environment:?}");
    }
}

#[test]
fn a_start_takes_away_what_a_former_one_has_left() {
    let scratch = Scratch::new("again", &[DEBIAN]);
    let image = scratch.all("/etc");
    scratch.install(None);
    assert_eq!(scratch.all("/etc"), image);
    scratch.install(Some(&trust(Some(0), &[2])));
    let first = (scratch.all("/etc"), scratch.all("/usr"));
    let inode = fs::metadata(scratch.at(DEBIAN)).unwrap().ino();
    // The same again writes nothing.
    scratch.install(Some(&trust(Some(0), &[2])));
    assert_eq!((scratch.all("/etc"), scratch.all("/usr")), first);
    assert_eq!(fs::metadata(scratch.at(DEBIAN)).unwrap().ino(), inode);
    scratch.install(Some(&trust(Some(1), &[])));
    assert_eq!(scratch.read(DEBIAN), certificate(4) + &certificate(1));
    assert_eq!(scratch.all("/etc/ssl").len(), 3);
    assert_eq!(scratch.all("/usr").len(), 1);
    assert!(scratch.install(None).is_empty());
    assert_eq!(scratch.all("/etc"), image);
    assert!(scratch.all("/usr").is_empty());
}

#[test]
fn who_was_killed_before_the_bundle_was_written_finds_what_is_to_go() {
    let scratch = Scratch::new("killed", &[DEBIAN]);
    scratch.install(Some(&trust(Some(0), &[])));
    let former = scratch.read(DEBIAN);
    let copy = "/usr/local/share/ca-certificates/microsandbox-ca.crt";
    scratch.install(Some(&trust(Some(1), &[])));
    // As it is between the two.
    scratch.write(copy, &(certificate(0) + &certificate(1)));
    scratch.write(DEBIAN, &former);
    scratch.install(Some(&trust(Some(1), &[])));
    assert_eq!(scratch.read(DEBIAN), certificate(4) + &certificate(1));
    assert_eq!(scratch.read(copy), certificate(1));
}

#[test]
fn roots_of_the_host_are_added_where_the_image_has_them_not() {
    let scratch = Scratch::new("host", &[DEBIAN]);
    // The image has the last one by itself.
    assert!(scratch.install(Some(&trust(None, &[2, 3, 4]))).is_empty());
    let both = certificate(2) + &certificate(3);
    assert_eq!(scratch.read(DEBIAN), certificate(4) + &both);
    assert_eq!(
        scratch.read("/usr/local/share/ca-certificates/microsandbox-host-cas.crt"),
        both
    );
    assert_eq!(
        scratch.read("/.msb/tls/host-cas.pem"),
        both + &certificate(4)
    );
    for name in ["950f668c.0", "3008ee67.0"] {
        let path = scratch.at(&format!("/etc/ssl/certs/{name}"));
        assert_eq!(
            fs::read_link(path).unwrap(),
            Path::new("microsandbox-host-cas.pem")
        );
    }
}

#[test]
fn the_first_bundle_that_is_there_is_the_one() {
    let (fedora, alpine) = ("/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem");
    let scratch = Scratch::new("first", &[alpine]);
    let environment = scratch.install(Some(&trust(Some(0), &[])));
    assert!(environment.contains(&format!("SSL_CERT_FILE={alpine}")));
    assert_eq!(scratch.read(alpine), certificate(4) + &certificate(0));
    let extracted = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";
    let scratch = Scratch::new("second", &[extracted, alpine]);
    fs::create_dir_all(scratch.at("/etc/pki/tls/certs")).unwrap();
    symlink(
        "../../ca-trust/extracted/pem/tls-ca-bundle.pem",
        scratch.at(fedora),
    )
    .unwrap();
    scratch.install(Some(&trust(Some(0), &[])));
    assert_eq!(scratch.read(extracted), certificate(4) + &certificate(0));
    assert!(fs::symlink_metadata(scratch.at(fedora))
        .unwrap()
        .is_symlink());
    assert_eq!(scratch.read(alpine), certificate(4));
}

#[test]
fn a_root_without_any_gets_the_first_one() {
    let scratch = Scratch::new("none", &[]);
    scratch.install(Some(&trust(Some(0), &[])));
    assert_eq!(scratch.read(DEBIAN), certificate(0));
}

#[test]
fn links_of_the_image_lead_nothing_astray() {
    let scratch = Scratch::new("links", &["/victim"]);
    let copy = "/usr/local/share/ca-certificates/microsandbox-ca.crt";
    for path in [
        DEBIAN,
        copy,
        "/.msb/tls/ca.pem",
        "/etc/ssl/certs/.microsandbox-new",
    ] {
        fs::create_dir_all(Path::new(&scratch.at(path)).parent().unwrap()).unwrap();
    }
    symlink("nothing", scratch.at(DEBIAN)).unwrap();
    symlink("../../../../victim", scratch.at(copy)).unwrap();
    symlink(
        "../../../victim",
        scratch.at("/etc/ssl/certs/.microsandbox-new"),
    )
    .unwrap();
    symlink("../../victim", scratch.at("/.msb/tls/ca.pem")).unwrap();
    scratch.install(Some(&trust(Some(0), &[])));
    assert_eq!(scratch.read("/victim"), certificate(4));
    for path in [DEBIAN, copy, "/.msb/tls/ca.pem"] {
        assert!(fs::symlink_metadata(scratch.at(path)).unwrap().is_file());
        assert_eq!(scratch.read(path), certificate(0));
    }
}

#[test]
fn a_bundle_that_a_mount_hides_is_in_memory_too() {
    let scratch = Scratch::new("hidden", &[DEBIAN]);
    let installed = scratch.installation().run(Some(&trust(Some(0), &[])));
    let environment = installed.unwrap().variables(&scratch.0, &["/etc/ssl"]);
    let environment = environment.unwrap();
    let memory = "/.msb/tls/ca-bundle.pem";
    assert!(environment.contains(&format!("SSL_CERT_FILE={memory}")));
    assert!(environment.contains(&format!("GIT_SSL_CAINFO={memory}")));
    assert_eq!(scratch.read(memory), certificate(4) + &certificate(0));
}

#[test]
fn policies_that_an_image_has_by_itself_stay() {
    let scratch = Scratch::new("policies", &[DEBIAN]);
    let (firefox, managed) = (
        "/etc/firefox/policies/policies.json",
        "/etc/chromium/policies/managed/own.json",
    );
    scratch.write(firefox, "{}");
    scratch.write(managed, "{}");
    let image = scratch.all("/etc");
    scratch.install(Some(&trust(Some(0), &[])));
    assert_eq!(
        (scratch.read(firefox), scratch.read(managed)),
        (String::from("{}"), String::from("{}"))
    );
    scratch.install(None);
    assert_eq!(scratch.all("/etc"), image);
}

/// Names and owners' rights of what is in a home.
fn database(scratch: &Scratch, home: &str) -> Vec<(String, u32)> {
    let directory = fs::read_dir(scratch.at(&format!("{home}/.pki/nssdb")));
    let mut all: Vec<(String, u32)> = directory
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                entry.metadata().unwrap().mode() & 0o777,
            )
        })
        .collect();
    all.sort();
    all
}

#[test]
fn each_home_has_a_database_of_one_authority() {
    let scratch = Scratch::new("homes", &[DEBIAN]);
    let people = [
        ("root:x:0:0::/root", "/root"),
        ("her:x:1000:1000::/home/her", "/home/her"),
    ];
    let others = [
        ("daemon:x:1:1::/usr/sbin", "/usr/sbin"),
        ("nobody:x:65534:65534::/nobody", "/nobody"),
    ];
    let lines = people.iter().chain(&others).map(|(line, home)| {
        fs::create_dir_all(scratch.at(home)).unwrap();
        format!("{line}:/bin/sh\n")
    });
    let passwd: String = lines.collect();
    scratch.write(
        "/etc/passwd",
        &(passwd + "gone:x:1001:1001::/home/gone:\nodd\n:x:0:0:::\n"),
    );
    scratch.install(Some(&trust(Some(0), &[2])));
    let path = "/root/.pki/nssdb/cert9.db";
    let first = fs::read(scratch.at(path)).unwrap();
    let wanted = [
        (String::from("cert9.db"), 0o600),
        (String::from("key4.db"), 0o600),
    ];
    for (_, home) in people {
        assert_eq!(database(&scratch, home), wanted);
    }
    for home in ["/usr/sbin", "/nobody", "/home/gone"] {
        assert_eq!(database(&scratch, home), []);
    }
    // NSS or a person has changed one.
    fs::write(scratch.at("/home/her/.pki/nssdb/cert9.db"), "hers").unwrap();
    scratch.install(Some(&trust(Some(1), &[])));
    assert!(fs::read(scratch.at(path)).unwrap() != first);
    assert_eq!(scratch.read("/home/her/.pki/nssdb/cert9.db"), "hers");
    scratch.install(None);
    assert_eq!(database(&scratch, "/root"), wanted[1..]);
    assert_eq!(scratch.read("/home/her/.pki/nssdb/cert9.db"), "hers");
}

#[test]
fn links_in_a_home_are_not_followed() {
    for link in [
        ".pki",
        ".pki/nssdb",
        ".pki/nssdb/cert9.db",
        ".pki/nssdb/key4.db",
    ] {
        let scratch = Scratch::new("homes-links", &["/victim/file"]);
        scratch.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
        let path = scratch.at(&format!("/root/{link}"));
        fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        let victim = if link.ends_with("db") && link.contains("b/") {
            "/victim/file"
        } else {
            "/victim"
        };
        symlink(scratch.at(victim), &path).unwrap();
        let before = (
            scratch.all("/victim"),
            fs::metadata(scratch.at(victim)).unwrap().mode(),
        );
        scratch.install(Some(&trust(Some(0), &[])));
        scratch.install(Some(&trust(Some(1), &[])));
        let after = (
            scratch.all("/victim"),
            fs::metadata(scratch.at(victim)).unwrap().mode(),
        );
        assert_eq!(before, after, "{link}");
    }
}
