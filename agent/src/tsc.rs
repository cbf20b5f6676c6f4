//! Run on the host: how fast the processor's time-stamp counter counts. A guest under software emulation reads the
//! host's counter but can calibrate it only against an emulated timer, which fails on a busy host; the supervisor tells
//! its kernel the frequency instead (`tsc_early_khz`, kernel-parameters.txt).

use crate::sys;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(30);
/// Tries at each end; the one with the least time around it counts, so that an interruption does no harm.
const TRIES: usize = 50;

/// A point in both times.
struct Reading {
    nanoseconds: u64,
    ticks: u64,
}

fn read(start: Instant) -> Reading {
    let mut best = (
        u64::MAX,
        Reading {
            nanoseconds: 0,
            ticks: 0,
        },
    );
    for _ in 0..TRIES {
        let before = start.elapsed().as_nanos() as u64;
        let ticks = sys::time_stamp();
        let after = start.elapsed().as_nanos() as u64;
        if after - before < best.0 {
            let nanoseconds = before + (after - before) / 2;
            best = (after - before, Reading { nanoseconds, ticks });
        }
    }
    best.1
}

/// The counter's frequency in kHz.
pub fn measure_khz() -> u64 {
    let start = Instant::now();
    let first = read(start);
    std::thread::sleep(INTERVAL);
    let last = read(start);
    let ticks = u128::from(last.ticks.saturating_sub(first.ticks));
    let nanoseconds = u128::from(last.nanoseconds - first.nanoseconds);
    (ticks * 1_000_000 / nanoseconds) as u64
}

#[cfg(test)]
mod tests {
    use super::measure_khz;

    #[test]
    fn two_measurements_agree() {
        let (a, b) = (measure_khz(), measure_khz());
        assert!(a > 100_000, "{a} kHz");
        assert!(a.abs_diff(b) * 100 < a, "{a} and {b} kHz");
    }
}
