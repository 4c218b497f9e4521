//! The system's clocks.

use nix::time::{ClockId, clock_gettime};
use tcptrace_core::model::clock_watch::ClockReading;

/// Number of readings, of which the best one counts.
const TRIES: usize = 8;

/// Reads all clocks at nearly the same time. Of several readings it returns the one that took the least time.
pub(crate) fn read() -> ClockReading {
    let one = || {
        let before_ns = monotonic_ns();
        let (realtime_ns, boottime_ns) = (now_ns(ClockId::CLOCK_REALTIME), boottime_ns());
        let after_ns = monotonic_ns();
        ClockReading {
            monotonic_ns: u64::midpoint(before_ns, after_ns),
            realtime_ns,
            boottime_ns,
            within_ns: after_ns.saturating_sub(before_ns),
        }
    };
    let mut best = one();
    for _ in 1..TRIES {
        let next = one();
        if next.within_ns < best.within_ns {
            best = next;
        }
    }
    best
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
    fn readings_agree_with_the_clocks() {
        let ClockReading { monotonic_ns: now, realtime_ns, boottime_ns: boot, within_ns } = read();
        assert!(within_ns < 1_000_000_000, "{within_ns}");
        assert!((now_ns(ClockId::CLOCK_REALTIME) - realtime_ns).abs() < 1_000_000_000);
        assert!(monotonic_ns() - now < 1_000_000_000 && boottime_ns() - boot < 1_000_000_000);
    }
}
