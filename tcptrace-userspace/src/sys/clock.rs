//! What time it is.

use nix::time::{ClockId, clock_gettime};
use tcptrace_core::model::clock::Clock;

/// Measures how `CLOCK_MONOTONIC` relates to the time of day: of several tries the one with the least time between its readings.
pub(crate) fn calibrate() -> Clock {
    let best = (0..8)
        .map(|_| {
            let before = now_ns(ClockId::CLOCK_MONOTONIC);
            let real = now_ns(ClockId::CLOCK_REALTIME);
            let after = now_ns(ClockId::CLOCK_MONOTONIC);
            (after - before, real - i128::midpoint(before, after))
        })
        .min();
    Clock::with_offset(best.map_or(0, |(_, offset)| offset))
}

/// `CLOCK_MONOTONIC` now, the clock of `bpf_ktime_get_ns()`, in nanoseconds.
pub fn monotonic_ns() -> u64 {
    u64::try_from(now_ns(ClockId::CLOCK_MONOTONIC)).unwrap_or(0)
}

/// `CLOCK_BOOTTIME` now, the clock of `/proc`, which counts while the host sleeps, in nanoseconds.
pub fn boottime_ns() -> u64 {
    u64::try_from(now_ns(ClockId::CLOCK_BOOTTIME)).unwrap_or(0)
}

fn now_ns(clock: ClockId) -> i128 {
    clock_gettime(clock)
        .map_or(0, |time| i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_agrees_with_the_clock() {
        let told = calibrate().time(monotonic_ns()).as_nanosecond();
        assert!((told - now_ns(ClockId::CLOCK_REALTIME)).abs() < 1_000_000_000);
    }
}
