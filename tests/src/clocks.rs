//! Two readings of the clock for one event: tcptrace's and tracefs', whose program runs just before or after.

use std::fmt::Display;

use serde_json::Value;

use crate::{machine::tolerance_us, replay::Obstacle};

/// The longest time, in nanoseconds, for which an interrupt or a hypervisor may stop a processor within one event. A
/// larger difference is an error.
pub(crate) const HELD_UP_NS: u64 = 100_000_000;

/// The largest normal difference between two readings. Many scenarios run at once, and any can be delayed between its
/// readings.
fn slack_us() -> u64 {
    5 * tolerance_us()
}

/// The readings of a run that differ so much that something stopped the processor between them.
#[derive(Debug, Default)]
pub(crate) struct Clocks(Vec<String>);

impl Clocks {
    /// Compares two readings of the clock, or two lengths of time, in microseconds.
    ///
    /// # Panics
    /// When they differ by more than any hypervisor explains.
    pub(crate) fn compare(&mut self, reported_us: u64, witnessed_us: u64, what: &impl Display) {
        let apart_us = reported_us.abs_diff(witnessed_us);
        if apart_us <= slack_us() {
            return;
        }
        let how = format!("{reported_us} us, not {witnessed_us} us, in {what}");
        assert!(apart_us <= HELD_UP_NS / 1_000, "{how}");
        self.0.push(how);
    }

    /// Compares a time in microseconds from a line of JSON with the time between two moments.
    pub(crate) fn assert_span(&mut self, reported_us: &Value, from_ns: u64, to_ns: u64, line: &Value) {
        let witnessed_us = to_ns.saturating_sub(from_ns) / 1_000;
        let reported_us =
            reported_us.as_u64().unwrap_or_else(|| panic!("{witnessed_us} us are missing in {line}"));
        self.compare(reported_us, witnessed_us, line);
    }

    /// # Errors
    /// Two readings disagree.
    pub(crate) fn check(self) -> Result<(), Obstacle> {
        if self.0.is_empty() { Ok(()) } else { Err(Obstacle::ClocksDisagree(self.0.join("; "))) }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    fn compared(apart_us: u64) -> Result<(), Obstacle> {
        let mut clocks = Clocks::default();
        clocks.compare(1_000 + apart_us, 1_000, &"a line");
        clocks.check()
    }

    #[test]
    fn only_what_a_hypervisor_explains_is_an_obstacle() {
        assert_eq!(compared(slack_us()), Ok(()));
        assert!(matches!(compared(slack_us() + 1), Err(Obstacle::ClocksDisagree(_))));
        assert!(catch_unwind(|| compared(HELD_UP_NS / 1_000 + slack_us())).is_err());
    }
}
