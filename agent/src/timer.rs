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
    let command_line = fs::read_to_string("/proc/cmdline")?;
    let (least, most) = match range(&command_line) {
        Some(range) => range,
        None => return Ok(()),
    };
    let taken_for = khz(&fs::read_to_string("/proc/timer_list")?).unwrap_or(0);
    if (least..=most).contains(&taken_for) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::Other,
        format!("{WRONG}: it is taken for {taken_for} kHz, and has {least} to {most}"),
    ))
}

fn range(command_line: &str) -> Option<(u64, u64)> {
    let value = command_line
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix(PARAMETER))?;
    let (least, most) = value.split_once('-')?;
    Some((least.parse().ok()?, most.parse().ok()?))
}

/// What the kernel takes the first processor's local APIC timer for: it makes `mult / 2^shift` ticks of a nanosecond
/// (include/linux/clockchips.h). `None`: it does not use it.
fn khz(timer_list: &str) -> Option<u64> {
    let (_, device) = timer_list.split_once("Per CPU device: 0\n")?;
    let device = device.strip_prefix("Clock Event Device: lapic")?;
    let number = |name: &str| -> Option<u64> {
        let line = device
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(name))?;
        line.trim().parse().ok()
    };
    let (mult, shift) = (number("mult:")?, number("shift:")?);
    u64::try_from((u128::from(mult) * 1_000_000) >> u32::try_from(shift).ok()?.min(127)).ok()
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
        assert_eq!(khz(&without), None);
        assert_eq!(khz(""), None);
        assert_eq!(khz("Per CPU device: 0\nClock Event Device: lapic\n"), None);
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
