//! Whether the kernel knows how fast its timer counts. Under software emulation it measures that against the processor's
//! counter, in a tenth of a second of its boot (`calibrate_APIC_clock`, arch/x86/kernel/apic/apic.c). A guest that has to wait for
//! a processor of the host meanwhile measures wrongly: all that it waits for later comes too early or too late, or it takes the
//! timer for none and waits for ever. The host knows what is right, and tells it on the kernel's command line:
//!
//!     msb.lapic_khz=LEAST-MOST

use std::fs;
use std::io;

const PARAMETER: &str = "msb.lapic_khz=";
/// What the supervisor looks for on the console: such a guest is booted anew.
const WRONG: &str = "the kernel's timer is wrong";

/// To be called before anything that may wait: a wait may never end.
pub fn check() -> io::Result<()> {
    let (least, most) = match range(&fs::read_to_string("/proc/cmdline")?) {
        Some(range) => range,
        None => return Ok(()),
    };
    let timers = match fs::read_to_string("/proc/timer_list") {
        // A kernel of the user's may be without.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        timers => timers?,
    };
    match khz(&timers) {
        Some(khz) if !(least..=most).contains(&khz) => Err(io::Error::new(
            io::ErrorKind::Other,
            format!("{WRONG}: it is taken for {khz} kHz, and has {least} to {most}"),
        )),
        _ => Ok(()),
    }
}

fn range(command_line: &str) -> Option<(u64, u64)> {
    let value = command_line
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix(PARAMETER))?;
    let (least, most) = value.split_once('-')?;
    Some((least.parse().ok()?, most.parse().ok()?))
}

/// What the kernel takes the first processor's local APIC timer for: it makes `mult / 2^shift` ticks of a nanosecond
/// (include/linux/clockchips.h); 0: it has no timer at all. `None`: it has another one, which it does not measure so.
fn khz(timer_list: &str) -> Option<u64> {
    let (_, device) = timer_list.split_once("Per CPU device: 0\nClock Event Device: ")?;
    let mut lines = device.lines();
    match lines.next()?.trim_end() {
        "<NULL>" => return Some(0),
        "lapic" => {}
        _ => return None,
    }
    let mut number = |name: &str| -> Option<u64> {
        let line = lines.find_map(|line| line.trim_start().strip_prefix(name))?;
        line.trim().parse().ok()
    };
    let mult = number("mult:")?;
    let shift = u32::try_from(number("shift:")?).ok()?;
    u64::try_from((u128::from(mult) * 1_000_000).checked_shr(shift)?).ok()
}

#[cfg(test)]
mod tests {
    use super::{khz, range};

    const DEVICES: &str = "jiffies: 4294892862\n\nTick Device: mode:     1\nBroadcast device\nClock Event Device: <NULL>\n\n\
        Tick Device: mode:     1\nPer CPU device: 0\nClock Event Device: lapic\n max_delta_ns:   34359875825\n\
         min_delta_ns:   1000\n mult:           268434382\n shift:          32\n mode:           3\n\n\
        Tick Device: mode:     1\nPer CPU device: 1\nClock Event Device: lapic\n mult:           1\n shift:          32\n";

    #[test]
    fn the_first_processors_timer() {
        assert_eq!(khz(DEVICES), Some(62_499));
    }

    #[test]
    fn no_timer() {
        let without = DEVICES.replace("Device: lapic", "Device: <NULL>");
        assert_eq!(khz(&without), Some(0));
    }

    #[test]
    fn another_timer() {
        let deadline = DEVICES.replace("Device: lapic", "Device: lapic-deadline");
        for other in ["", "Per CPU device: 0\nClock Event Device: hpet\n", &deadline] {
            assert_eq!(khz(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_right() {
        assert_eq!(
            range("quiet msb.lapic_khz=31250-65625 panic=-1\n"),
            Some((31_250, 65_625))
        );
        assert_eq!(range("quiet\n"), None);
        assert_eq!(range("msb.lapic_khz=many-more\n"), None);
    }
}
