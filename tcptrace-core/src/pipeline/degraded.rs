//! Reports in the stream that records are left out: how many, and the exact counts of the transitions that happened
//! meanwhile.

use tcptrace_common::{Level, STATE_SLOTS};

use crate::model::{input::Counted, loss::SampledOut, record::Degraded, state::State};

/// The interval of reports while records are left out, nanoseconds.
const EVERY_NS: u64 = 1_000_000_000;

/// Makes the reports; it remembers what was reported last.
#[derive(Debug, Default)]
pub(super) struct LossReporter {
    level: Level,
    reported_ns: u64,
    sampled_out: SampledOut,
    /// The counts of transitions that the next record subtracts.
    from: Seen,
    /// The records that were left out, as of the last check.
    last: SampledOut,
}

type Seen = [[u64; STATE_SLOTS]; STATE_SLOTS];

impl LossReporter {
    /// Takes the current counters, and the level from now on. Returns a record, if one is due.
    pub(super) fn check(&mut self, now_ns: u64, level: Level, counted: &Counted) -> Checked {
        let sampled_out = counted.sampled_out();
        let grew = sampled_out != self.last;
        self.last = sampled_out;
        let due = now_ns.saturating_sub(self.reported_ns) >= EVERY_NS;
        let record = (level != self.level || (due && sampled_out != self.sampled_out))
            .then(|| self.report(now_ns, level, counted));
        if self.sampled_out == sampled_out {
            self.from = counted.counters.seen;
        }
        Checked { record, grew }
    }

    /// The record that is still due at the end.
    pub(super) fn finish(&mut self, now_ns: u64, counted: &Counted) -> Option<Degraded> {
        (counted.sampled_out() != self.sampled_out).then(|| self.report(now_ns, self.level, counted))
    }

    fn report(&mut self, ktime_ns: u64, level: Level, counted: &Counted) -> Degraded {
        let all = counted.sampled_out();
        let record = Degraded {
            ktime_ns,
            level,
            sampled_out: all.since(&self.sampled_out),
            total: all.total(),
            seen: difference(&self.from, &counted.counters.seen),
        };
        (self.level, self.reported_ns, self.sampled_out) = (level, ktime_ns, all);
        self.from = counted.counters.seen;
        record
    }
}

/// The outcome of a check.
pub(super) struct Checked {
    /// The record for the stream, if one is due.
    pub record: Option<Degraded>,
    /// Whether records were left out since the last check.
    pub grew: bool,
}

impl Counted {
    fn sampled_out(&self) -> SampledOut {
        SampledOut::of(&self.counters, Some(&self.half_open))
    }
}

/// The transitions of which `later` counts more than `earlier`, with the differences.
fn difference(earlier: &Seen, later: &Seen) -> Vec<(State, State, u64)> {
    let mut cells = Vec::new();
    for (old, (before, after)) in (0..).zip(earlier.iter().zip(later)) {
        for (new, (before, after)) in (0..).zip(before.iter().zip(after)) {
            let count = after.saturating_sub(*before);
            if count > 0 {
                cells.push((State(old), State(new), count));
            }
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Counters with `seen` transitions from CLOSE to SYN_SENT, of which `sampled_out` were left out.
    fn counted(seen: u64, sampled_out: u64) -> Counted {
        let mut counted = Counted::default();
        counted.counters.seen[7][2] = seen;
        counted.counters.sampled_out = sampled_out;
        counted
    }

    #[test]
    fn a_change_is_told_at_once_and_the_rest_once_a_second() {
        let mut loss_reporter = LossReporter::default();
        let mut told = |ns, level, seen, sampled_out| {
            let told = loss_reporter.check(ns, Level(level), &counted(seen, sampled_out));
            (told.record.map(|record| (record.sampled_out.transitions, record.total, record.seen)), told.grew)
        };
        let cells = |count| vec![(State(7), State(2), count)];
        assert_eq!(told(SECOND, 0, 5, 0), (None, false));
        assert_eq!(told(2 * SECOND, 3, 9, 2), (Some((2, 2, cells(4))), true));
        assert_eq!(told(2 * SECOND + 1, 3, 19, 7), (None, true));
        assert_eq!(told(3 * SECOND, 3, 20, 8), (Some((6, 8, cells(11))), true));
        assert_eq!(told(5 * SECOND, 3, 21, 8), (None, false));
        assert_eq!(told(6 * SECOND, 0, 22, 8), (Some((0, 8, cells(1))), false));
        assert_eq!(told(9 * SECOND, 0, 30, 8), (None, false));
    }

    #[test]
    fn the_end_tells_the_rest() {
        let mut loss_reporter = LossReporter::default();
        assert_eq!(loss_reporter.finish(1, &counted(3, 0)), None);
        let rest = loss_reporter.finish(1, &counted(3, 3)).expect("a rest");
        assert_eq!((rest.sampled_out.transitions, rest.seen), (3, vec![(State(7), State(2), 3)]));
        assert_eq!(loss_reporter.finish(2, &counted(3, 3)), None);
    }
}
