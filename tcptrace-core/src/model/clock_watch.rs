//! Detects that the wall clock moves against the kernel's clock: the wall clock was set, or the host slept.

use super::clock::Clock;

/// How far the clocks may drift apart before the relation is corrected, nanoseconds. Outputs in milliseconds do not show
/// less.
const DRIFT_NS: i128 = 1_000_000;

/// The change between two readings from which it is a step, nanoseconds. Clock discipline, such as NTP, moves a clock by
/// half a millisecond a second (`adjtimex(2)`), and readings are at most a second apart.
const STEP_NS: i128 = 10_000_000;

/// The inexactness above which a reading is ignored, nanoseconds: the reading thread was interrupted.
const EXACT_NS: u64 = 500_000;

/// The clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub monotonic_ns: u64,
    /// `CLOCK_REALTIME`, nanoseconds since 1970.
    pub realtime_ns: i128,
    /// `CLOCK_BOOTTIME`, nanoseconds: `CLOCK_MONOTONIC` with the time that the host slept.
    pub boottime_ns: u64,
    /// Upper limit of the time between the reads of these clocks, nanoseconds.
    pub within_ns: u64,
}

/// A change of the wall clock against the clock of the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockChange {
    /// When it was noticed, nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// The relation from now on.
    pub clock: Clock,
    /// How far the wall clock has moved forward, nanoseconds; negative when it moved back.
    pub by_ns: i64,
    /// The part of that for which the host slept, nanoseconds.
    pub suspended_ns: u64,
    /// The wall clock moved at once: it was set, or the host slept. Otherwise it drifted, as disciplined clocks do.
    pub is_step: bool,
}

/// Follows the relation of the clocks.
#[derive(Clone, Copy, Debug)]
pub struct ClockWatch {
    /// The relation as last reported.
    said: Clock,
    /// The relation at the last reading.
    last: Clock,
    /// How long the host had slept when a sleep was last noticed, nanoseconds.
    slept_ns: u64,
}

impl ClockWatch {
    /// Starts from this reading.
    pub fn new(reading: &ClockReading) -> Self {
        let clock = relation(reading);
        Self { said: clock, last: clock, slept_ns: slept(reading) }
    }

    /// The relation as last reported.
    pub fn clock(&self) -> Clock {
        self.said
    }

    /// Takes a reading. Returns the change, if it is to be reported.
    pub fn check(&mut self, reading: &ClockReading) -> Option<ClockChange> {
        if reading.within_ns > EXACT_NS {
            return None;
        }
        let (clock, slept_ns) = (relation(reading), slept(reading));
        // The reads of both clocks may be this far apart: less than that is no sleep.
        let suspended_ns = slept_ns.saturating_sub(self.slept_ns);
        let suspended_ns = if suspended_ns > EXACT_NS { suspended_ns } else { 0 };
        let is_step = clock.ahead_of(self.last).abs() >= STEP_NS;
        self.last = clock;
        if suspended_ns > 0 {
            self.slept_ns = slept_ns;
        }
        let by_ns = clock.ahead_of(self.said);
        if !is_step && by_ns.abs() < DRIFT_NS {
            return None;
        }
        self.said = clock;
        Some(ClockChange {
            ktime_ns: reading.monotonic_ns,
            clock,
            by_ns: i64::try_from(by_ns).unwrap_or(if by_ns < 0 { i64::MIN } else { i64::MAX }),
            suspended_ns,
            is_step,
        })
    }
}

fn relation(reading: &ClockReading) -> Clock {
    Clock::with_offset(reading.realtime_ns.saturating_sub(reading.monotonic_ns.into()))
}

fn slept(reading: &ClockReading) -> u64 {
    reading.boottime_ns.saturating_sub(reading.monotonic_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const MILLISECOND: u64 = 1_000_000;

    /// Clocks that tests move.
    struct Clocks(ClockReading);

    impl Clocks {
        fn begin() -> (Self, ClockWatch) {
            let now = ClockReading {
                monotonic_ns: 5_000 * SECOND,
                realtime_ns: 1_800_000_000_000_000_000,
                boottime_ns: 6_000 * SECOND,
                within_ns: 100,
            };
            (Self(now), ClockWatch::new(&now))
        }

        /// Lets time pass, a part of which the host sleeps, and then sets the wall clock by `set_by_ns`.
        fn pass(&mut self, awake_ns: u64, asleep_ns: u64, set_by_ns: i64) -> &ClockReading {
            self.0.monotonic_ns += awake_ns;
            self.0.boottime_ns += awake_ns + asleep_ns;
            self.0.realtime_ns += i128::from(awake_ns + asleep_ns) + i128::from(set_by_ns);
            &self.0
        }
    }

    #[test]
    fn clocks_that_go_together_say_nothing() {
        let (mut clocks, mut watch) = Clocks::begin();
        let before = watch.clock();
        // A reading is never quite exact.
        for error_ns in [0, 40_000, -60_000, 90_000, -70_000] {
            assert_eq!(watch.check(clocks.pass(SECOND, 0, error_ns)), None);
        }
        assert_eq!(watch.clock(), before);
    }

    #[test]
    fn a_clock_that_is_set_has_been_stepped() {
        for by_ns in [3_600 * 1_000_000_000, -2_500_000_000, 10_000_000] {
            let (mut clocks, mut watch) = Clocks::begin();
            let change = watch.check(clocks.pass(SECOND / 4, 0, by_ns)).expect("a step");
            assert_eq!((change.by_ns, change.suspended_ns, change.is_step), (by_ns, 0, true));
            let now = i128::from(change.ktime_ns) + clocks.0.realtime_ns - i128::from(clocks.0.monotonic_ns);
            assert_eq!(
                change.clock.time(change.ktime_ns).as_nanosecond(),
                now,
                "times are right from now on"
            );
            assert_eq!(watch.check(clocks.pass(SECOND / 4, 0, 0)), None, "it is told once");
        }
    }

    #[test]
    fn a_host_that_slept_says_for_how_long() {
        let (mut clocks, mut watch) = Clocks::begin();
        let change = watch.check(clocks.pass(SECOND, 7 * SECOND, 0)).expect("a step");
        assert_eq!((change.by_ns, change.suspended_ns, change.is_step), (7_000_000_000, 7 * SECOND, true));
        // The wall clock was set by an hour at the same time, as in a guest that wakes up.
        let change = watch.check(clocks.pass(SECOND, 2 * SECOND, 3_600_000_000_000)).expect("a step");
        assert_eq!((change.by_ns, change.suspended_ns), (3_602_000_000_000, 2 * SECOND));
    }

    /// NTP pulls a clock for hours.
    #[test]
    fn a_drift_is_followed_and_no_step() {
        let (mut clocks, mut watch) = Clocks::begin();
        let changes: Vec<ClockChange> =
            (0..10).filter_map(|_| watch.check(clocks.pass(SECOND, 0, 500_000))).collect();
        assert_eq!(changes.len(), 5, "each millisecond");
        assert!(changes.iter().all(|change| !change.is_step && change.by_ns == 1_000_000), "{changes:?}");
    }

    /// An interruption between the reads of two clocks would look like a step.
    #[test]
    fn an_inexact_reading_says_nothing() {
        let (mut clocks, mut watch) = Clocks::begin();
        let inexact = ClockReading { within_ns: 30 * MILLISECOND, ..*clocks.pass(SECOND, 0, 20_000_000) };
        assert_eq!(watch.check(&inexact), None);
        clocks.0.realtime_ns -= 20_000_000;
        assert_eq!(watch.check(clocks.pass(SECOND, 0, 0)), None, "nor does the next one");
    }

    #[test]
    fn absurd_clocks_are_no_reason_to_panic() {
        let (mut clocks, mut watch) = Clocks::begin();
        clocks.0.realtime_ns = i128::from(i64::MIN) * 4;
        assert_eq!(watch.check(&clocks.0).expect("a step").by_ns, i64::MIN);
        clocks.0.boottime_ns = 0;
        assert!(watch.check(&clocks.0).is_none());
    }
}
