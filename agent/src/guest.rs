//! What a program expects to find around it: the kernel's file systems, a name, a loopback interface, a clock.

pub mod connections;
mod files;
pub mod freeze;
mod mounts;
mod network;
mod notify;
pub mod places;
mod preread;
mod trust;
mod volumes;

pub use files::is_managed;
pub use trust::Installed;

use crate::failure::{While, GUEST, WORKDIR};
use crate::generated::messages::{BecomeCopy, Boot, BootFailed, Clock, GuestNetwork, Mount, Seed};
use crate::modules::Modules;
use crate::relay::Relay;
use crate::root::Owner;
use crate::sys::{self, EEXIST};
use std::fs::{self, File};
use std::io::Result;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Gives the kernel randomness from the host. No program of the user's may run before this, because every guest made from
/// the same memory image starts with the same random pool.
pub fn seed(device: &File, seed: &Seed) -> std::result::Result<(), BootFailed> {
    sys::add_entropy(device, &seed.entropy).during(GUEST, "entropy")
}

pub fn set_clock(clock: &Clock) -> std::result::Result<(), BootFailed> {
    sys::set_clock(clock.seconds, clock.nanoseconds).during(GUEST, "clock")
}

/// Sets up inside the new root what all sandboxes have alike. Returns whom the guest believes, when it is to be saved: whoever is
/// to be one sandbox is told when it boots.
pub fn set_up(mount: &Mount, owner: Owner) -> std::result::Result<Option<Installed>, BootFailed> {
    mounts::mount_all(mount.tmp_size_mib, owner)?;
    link_devices().during(GUEST, "/dev")?;
    network::set_up_loopback().during(GUEST, "loopback interface")?;
    files::prepare(owner)?;
    if let Some(network) = &mount.network {
        network::set_up(network)?;
        files::write_resolver(network, owner)?;
    }
    if mount.programs.is_empty() {
        return Ok(None);
    }
    preread::read_directories_around();
    preread::read_programs(&mount.programs);
    trust::install(mount.trust.as_ref(), owner).map(Some)
}

/// What it takes to cover a root again that was laid bare.
pub struct BareRoot {
    tmp_size_mib: u32,
}

/// Uncovers what memory hides of the root, so that all of it can be changed. No program runs yet.
pub fn lay_bare(tmp_size_mib: u32) -> Result<BareRoot> {
    mounts::uncover_all()?;
    Ok(BareRoot { tmp_size_mib })
}

/// Sets up what makes this sandbox itself.
///
/// `bare`: its root was laid bare to be changed, and is covered again. `network`: how that is set up already. `installed`: whom it
/// believes already. Returns what every command's environment has unless it says otherwise, as `NAME=value`.
pub fn become_sandbox(
    boot: &Boot,
    owner: Owner,
    modules: &Modules,
    relay: Option<&Relay>,
    bare: Option<&BareRoot>,
    network: Option<&GuestNetwork>,
    installed: Option<Installed>,
) -> std::result::Result<Vec<String>, BootFailed> {
    if let Some(BareRoot { tmp_size_mib }) = bare {
        mounts::cover_all(*tmp_size_mib, owner)?;
        if owner == Owner::Sandbox {
            // The places of what is written now may have been changed.
            files::prepare(owner)?;
        }
    }
    sys::set_host_name(&boot.hostname).during(GUEST, "host name")?;
    if let Some(wanted) = &boot.network {
        match network {
            None => network::set_up(wanted)?,
            Some(now) if now == wanted => {}
            Some(now) => network::change(&now.addresses, wanted)?,
        }
        if bare.is_some() || network != Some(wanted) {
            files::write_resolver(wanted, owner)?;
        }
    }
    files::write_all(boot, owner)?;
    let mounted: Vec<&str> = boot.mounts.iter().map(|mount| &*mount.path).collect();
    let installed = installed.filter(|_| bare.is_none());
    let environment = trust::renew(boot.trust.as_ref(), owner, &mounted, installed)?;
    // After what the agent writes: nothing of that is to land in what is mounted.
    volumes::mount_all(&boot.mounts, modules, relay)?;
    // One that is a mount is there. To ask for it would be to wait for whoever serves it.
    if !mounted.contains(&&*boot.workdir) {
        make_working_directory(&boot.workdir)?;
    }
    Ok(environment)
}

/// Makes a copy of a running sandbox another one: it has a name and an id of its own, and its programs can tell that it is one. Nothing of
/// it runs yet.
pub fn become_copy(
    copy: &BecomeCopy,
    network: Option<&GuestNetwork>,
    owner: Owner,
) -> std::result::Result<(), BootFailed> {
    sys::set_host_name(&copy.hostname).during(GUEST, "host name")?;
    files::rename_copy(&copy.hostname, network, owner)?;
    files::write_boot_id().during(GUEST, "boot id")?;
    files::write_fork(&copy.name, &copy.source).during(GUEST, "fork.json")?;
    connections::reset_outward().during(GUEST, "connections")?;
    if copy.signal != 0 {
        notify::all(i32::from(copy.signal)).during(GUEST, "signal")?;
    }
    Ok(())
}

/// Images name working directories that none of their layers holds: as every engine does, they are made. One that cannot be is
/// told once, at the start, instead of with every command.
fn make_working_directory(path: &str) -> std::result::Result<(), BootFailed> {
    if path.is_empty() {
        return Ok(());
    }
    places::make_directories(Path::new(path), 0o755).during(WORKDIR, path)
}

fn link_devices() -> Result<()> {
    let links = [
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
        ("pts/ptmx", "/dev/ptmx"),
    ];
    for (target, link) in links {
        // The kernel makes a /dev/ptmx of its own, which belongs to no instance of devpts.
        let _ = fs::remove_file(link);
        match symlink(target, link) {
            Err(error) if sys::errno_of(&error) != EEXIST => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::ENOTDIR;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn makes_a_working_directory_that_is_not_there() {
        let top = std::env::temp_dir().join(format!("agent-workdir-{}", std::process::id()));
        let path = top.join("one/two");
        for _ in 0..2 {
            assert_eq!(make_working_directory(path.to_str().unwrap()), Ok(()));
        }
        let links = [("dangling", "missing/target"), ("itself", "itself")];
        for (name, target) in links {
            symlink(target, top.join(name)).unwrap();
        }
        let through = top.join("dangling/below");
        assert_eq!(make_working_directory(through.to_str().unwrap()), Ok(()));
        assert!(top.join("missing/target/below").is_dir());
        assert!(make_working_directory(top.join("itself").to_str().unwrap()).is_err());
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        fs::remove_dir_all(&top).unwrap();
        assert_eq!(mode, 0o755);
    }

    #[test]
    fn tells_a_working_directory_that_cannot_be_one() {
        assert_eq!(make_working_directory(""), Ok(()));
        assert_eq!(make_working_directory("/proc"), Ok(()));
        for path in ["/proc/version", "/proc/version/below"] {
            let failed = make_working_directory(path).unwrap_err();
            assert_eq!((failed.step.as_str(), failed.errno), (WORKDIR, ENOTDIR));
        }
    }
}
