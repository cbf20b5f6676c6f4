//! PID 1 of a microsandbox guest: it turns a bare kernel into a sandbox and runs commands in it for the supervisor on
//! the host. Read `agent.rs` first.

#![deny(unsafe_code)]

mod agent;
mod commands;
mod echo;
mod extents;
mod failure;
mod files;
mod forward;
mod generated;
mod guest;
mod inside;
mod modules;
mod patches;
mod protocol;
mod relay;
mod root;
mod sftp;
mod shutdown;
mod stats;
#[allow(unsafe_code)]
mod sys;
mod timer;
#[cfg(target_arch = "x86_64")]
mod tsc;

use agent::{Agent, Stop};
use generated::messages::{AgentHello, PROTOCOL_VERSION};
use modules::Modules;
use protocol::port::Port;
use std::fs;
use std::io;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Open files of the agent itself: several for each command that runs.
const OPEN_FILES: u64 = 1 << 20;

fn main() {
    let mut called = std::env::args();
    if called
        .next()
        .map_or(false, |by| inside::emit::is_called(&by))
    {
        std::process::exit(inside::emit::run(&called.collect::<Vec<_>>()));
    }
    if std::process::id() == 1 {
        be_init();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--version"] => println!("{VERSION}"),
        #[cfg(target_arch = "x86_64")]
        ["--measure-tsc"] => println!("{}", tsc::measure_khz()),
        ["--echo"] => or_fail(echo::relay()),
        ["--echo-allowed"] => {
            let (four, six) = echo::allowed();
            println!("{} {}", u8::from(four), u8::from(six));
        }
        ["--data-extents", path] => {
            if let Err(error) = extents::list(path, io::stdout().lock()) {
                eprintln!("{path}: {error}");
                std::process::exit(1);
            }
        }
        ["--sftp"] => or_fail(sftp::serve()),
        ["--connect", host, port] => forward::connect(host, port),
        _ => {
            eprintln!("usage: agent --version | --measure-tsc (x86-64 only) | --data-extents FILE | --echo | --echo-allowed | --sftp | --connect HOST PORT. As PID 1 it is a guest's init.");
            std::process::exit(2);
        }
    }
}

fn or_fail(result: io::Result<()>) {
    if let Err(error) = result {
        eprintln!("agent: {error}");
        std::process::exit(1);
    }
}

/// Serves until the end, then powers off. If even that fails, PID 1 ends, and the kernel panics for the host to see.
fn be_init() -> ! {
    match start() {
        Ok((agent, hello)) => match agent.run(hello) {
            Stop::ShutDown => {}
            Stop::HostGone => eprintln!("agent: the supervisor has closed its end"),
            Stop::Fault(reason) => eprintln!("agent: {reason}"),
        },
        Err(error) => eprintln!("agent: cannot start: {error}"),
    }
    let error = sys::power_off();
    eprintln!("agent: cannot power off: {error}");
    std::process::exit(1)
}

/// From the kernel's hand-over to an agent that can speak.
fn start() -> io::Result<(Agent, AgentHello)> {
    mount_kernel_views()?;
    timer::check()?;
    // Otherwise the kernel wakes up twice a second to see whether there is memory to be moved together
    // (Documentation/admin-guide/sysctl/vm.rst). It is still done when someone needs it, and a kernel may be without.
    let _ = fs::write("/proc/sys/vm/compaction_proactiveness", "0");
    sys::set_open_files_limit(OPEN_FILES, OPEN_FILES)?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let kernel_release = String::from(release.trim_end());
    let modules = Modules::find(&kernel_release);
    for name in modules::EARLY {
        modules.load(name);
    }
    let agent = Agent::new(Port::open()?, modules)?;
    root::disk::hold_back()?;
    let hello = AgentHello {
        protocol_version: PROTOCOL_VERSION,
        agent_version: String::from(VERSION),
        kernel_release,
    };
    Ok((agent, hello))
}

/// In the initramfs, for the time before the root file system is there.
fn mount_kernel_views() -> io::Result<()> {
    for (target, fs_type) in [("/proc", "proc"), ("/sys", "sysfs"), ("/dev", "devtmpfs")] {
        root::create_directory(target)?;
        sys::mount(fs_type, target, fs_type, 0, "")?;
    }
    Ok(())
}
