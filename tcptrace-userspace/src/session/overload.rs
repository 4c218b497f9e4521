//! How much to leave out when there are more records than can be taken.
//!
//! Three things change the level. The rate of records that pass the filters raises it at once, until the rest fits into
//! `--max-rate`. The kernel side raises it when the ring fills, since the reader is late. Calm lowers it step by step:
//! the reader has emptied the ring, and the records that it took are on their way out. A level at which the ring filled
//! is tried again only after a while, which is longer each time.

use tcptrace_common::Level;

/// Records a second that are sent at most, by default; `docs/overhead-and-loss.md` has the measurement behind it.
pub const DEFAULT_MAX_RATE: u64 = 1_000_000;

/// Calm checks before a level that has failed is tried again, at most.
const LONGEST_WAIT: u32 = 64;
/// After this many checks in a row with nothing left out, earlier failures do not count.
const FORGIVEN: u32 = 240;

/// Input of a check.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// Time of the check, nanoseconds of `CLOCK_MONOTONIC`.
    pub(super) now_ns: u64,
    /// Records that passed the filters so far.
    pub(super) wanted: u64,
    /// The level, which the kernel side may have raised.
    pub(super) level: Level,
    /// Every record that came since the last check has been taken.
    pub(super) calm: bool,
}

/// Chooses the level, check by check.
#[derive(Debug)]
pub(super) struct Overload {
    max_rate: u64,
    /// Time, and records that passed the filters, at the last check.
    last: Option<(u64, u64)>,
    /// The level that was chosen then.
    level: Level,
    /// The level at which the ring filled last.
    failed: Option<Level>,
    /// Calm checks to come before the failed level is tried again.
    wait: u32,
    /// Calm checks before the next try after another failure.
    next_wait: u32,
    /// Checks in a row with nothing left out.
    clear: u32,
}

impl Overload {
    /// `max_rate`: records a second that are sent at most.
    pub(super) fn new(max_rate: u64) -> Self {
        Self { max_rate, last: None, level: Level::ALL, failed: None, wait: 0, next_wait: 0, clear: 0 }
    }

    /// The level from now on.
    pub(super) fn check(&mut self, found: Found) -> Level {
        let needed = self.needed(found.now_ns, found.wanted);
        if found.level > self.level {
            self.failed = Some(self.level);
            self.wait = self.next_wait;
            self.next_wait = (self.next_wait * 2).clamp(4, LONGEST_WAIT);
        }
        self.level = if found.level <= needed {
            needed
        } else if !found.calm {
            found.level
        } else {
            self.lower(found.level).max(needed)
        };
        self.forgive();
        self.level
    }

    /// One step down, unless that has failed lately.
    fn lower(&mut self, level: Level) -> Level {
        let lower = Level(level.0.saturating_sub(1)).min(Level::LEAST);
        if self.wait > 0 && self.failed.is_some_and(|failed| lower <= failed) {
            self.wait -= 1;
            return level;
        }
        lower
    }

    /// Whether nothing is left out.
    pub(super) fn is_over(&self) -> bool {
        self.level == Level::ALL
    }

    /// The lowest level at which the rate is not too high.
    fn needed(&mut self, now_ns: u64, wanted: u64) -> Level {
        let Some((then_ns, before)) = self.last.replace((now_ns, wanted)) else { return Level::ALL };
        let elapsed_ns = u128::from(now_ns.saturating_sub(then_ns)).max(1);
        let rate = u128::from(wanted.saturating_sub(before)) * 1_000_000_000 / elapsed_ns;
        let fits = |level: &u32| rate >> level <= u128::from(self.max_rate);
        (0..Level::LEAST.0).find(fits).map_or(Level::LEAST, Level)
    }

    fn forgive(&mut self) {
        self.clear = if self.level == Level::ALL { self.clear + 1 } else { 0 };
        if self.clear >= FORGIVEN {
            (self.next_wait, self.clear) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks four times a second.
    struct Trial {
        overload: Overload,
        found: Found,
    }

    impl Trial {
        fn new() -> Self {
            let found = Found { now_ns: 0, wanted: 0, level: Level::ALL, calm: true };
            let mut overload = Overload::new(1_000);
            overload.check(found);
            Self { overload, found }
        }

        /// The level after a check at this rate, in records a second.
        fn check(&mut self, rate: u64) -> u32 {
            self.found.now_ns += 250_000_000;
            self.found.wanted += rate / 4;
            self.found.level = self.overload.check(self.found);
            self.found.level.0
        }

        fn checks(&mut self, rate: u64, count: usize) -> Vec<u32> {
            (0..count).map(|_| self.check(rate)).collect()
        }
    }

    #[test]
    fn the_rate_chooses_the_level_and_calm_lowers_it_by_steps() {
        let mut trial = Trial::new();
        assert_eq!(trial.checks(1_000, 2), [0, 0]);
        assert_eq!(trial.check(1_004), 1);
        assert_eq!(trial.check(7_000), 3);
        assert_eq!(trial.check(u64::MAX / 8), Level::LEAST.0);
        assert_eq!(trial.checks(3_000, 10), [9, 8, 7, 6, 5, 4, 3, 2, 2, 2]);
        assert_eq!(trial.checks(0, 4), [1, 0, 0, 0]);
    }

    #[test]
    fn what_the_kernel_side_raised_stays_until_the_reader_is_calm() {
        let mut trial = Trial::new();
        (trial.found.level, trial.found.calm) = (Level::NONE, false);
        assert_eq!(trial.checks(10, 3), [32, 32, 32]);
        trial.found.calm = true;
        assert_eq!(trial.checks(10, 12), [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]);
    }

    #[test]
    fn a_level_that_failed_is_tried_later_and_those_above_it_at_once() {
        let mut trial = Trial::new();
        trial.found.level = Level(3);
        assert_eq!(trial.checks(10, 3), [2, 1, 0], "once may be chance");
        trial.found.level = Level::NONE;
        assert_eq!(trial.checks(10, 15), [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 1, 1, 1, 0]);
    }

    #[test]
    fn each_time_that_it_was_too_soon_calm_must_last_longer() {
        let mut trial = Trial::new();
        let waits: Vec<usize> = (0..8)
            .map(|_| {
                trial.found.level = Level(1);
                (0..100).take_while(|_| trial.check(10) == 1).count()
            })
            .collect();
        assert_eq!(waits, [0, 4, 8, 16, 32, 64, 64, 64]);
        trial.checks(10, FORGIVEN as usize);
        trial.found.level = Level(1);
        assert_eq!(trial.check(10), 0, "forgiven");
    }
}
