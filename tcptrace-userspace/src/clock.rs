//! From the kernel's monotonic clock to the time of day.

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};

/// A fixed relation between `CLOCK_MONOTONIC` and the time of day.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Nanoseconds to add to a monotonic time to get nanoseconds since 1970 (UTC).
    offset_ns: i128,
}

impl Clock {
    /// Measures the relation now: of several tries the one with the least time between its readings.
    pub fn calibrate() -> Self {
        let best = (0..8)
            .map(|_| {
                let before = now_ns(ClockId::CLOCK_MONOTONIC);
                let real = now_ns(ClockId::CLOCK_REALTIME);
                let after = now_ns(ClockId::CLOCK_MONOTONIC);
                (after - before, real - i128::midpoint(before, after))
            })
            .min();
        Self { offset_ns: best.map_or(0, |(_, offset)| offset) }
    }

    /// A relation that is given: for replays and tests.
    pub const fn with_offset(offset_ns: i128) -> Self {
        Self { offset_ns }
    }

    /// The time of day of a monotonic time; the nearest that can be told when it is absurd.
    pub fn time(&self, ktime_ns: u64) -> Timestamp {
        let nanoseconds = i128::from(ktime_ns).saturating_add(self.offset_ns);
        let bounded =
            nanoseconds.clamp(Timestamp::MIN.as_nanosecond(), Timestamp::MAX.as_nanosecond());
        Timestamp::from_nanosecond(bounded).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// `CLOCK_MONOTONIC` now, the clock of `bpf_ktime_get_ns()`, in nanoseconds.
pub fn monotonic_ns() -> u64 {
    u64::try_from(now_ns(ClockId::CLOCK_MONOTONIC)).unwrap_or(0)
}

fn now_ns(clock: ClockId) -> i128 {
    clock_gettime(clock)
        .map_or(0, |time| i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec()))
}
