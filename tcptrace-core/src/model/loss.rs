//! Losses: records that a trace should have reported and did not, by cause.

use tcptrace_common::{Counters, HalfOpenCounters};

/// Lost transitions by cause. Zero everywhere means that nothing was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Transitions for which the ring buffer had no capacity: the reader, or the output behind it, was too slow.
    pub ring_full: u64,
    /// Transitions that were read, but not written when the trace had to end.
    pub output: u64,
    /// Records that this version does not understand.
    pub undecodable: u64,
    /// Runs of the program that the kernel skipped. Each is a transition that nothing else counts.
    pub missed_runs: u64,
    /// Signals (resets, retransmits, errors) for which the ring had no capacity, or for which the kernel skipped the
    /// program.
    pub others: u64,
    /// Inputs of a capture that a later version recorded and that this version does not know. Each may have been anything.
    pub skipped_inputs: u64,
}

impl Lost {
    /// The sum of all. A capture may contain any number, so sums stop at the end of their range.
    pub fn total(&self) -> u64 {
        [self.missed_runs, self.others, self.skipped_inputs]
            .into_iter()
            .fold(self.transitions(), u64::saturating_add)
    }

    /// Lost transitions that the kernel side saw.
    pub fn transitions(&self) -> u64 {
        self.ring_full.saturating_add(self.output).saturating_add(self.undecodable)
    }

    /// The difference since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            ring_full: self.ring_full.saturating_sub(earlier.ring_full),
            output: self.output.saturating_sub(earlier.output),
            undecodable: self.undecodable.saturating_sub(earlier.undecodable),
            missed_runs: self.missed_runs.saturating_sub(earlier.missed_runs),
            others: self.others.saturating_sub(earlier.others),
            skipped_inputs: self.skipped_inputs.saturating_sub(earlier.skipped_inputs),
        }
    }
}

/// Records that passed the filters and were only counted, since there were too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampledOut {
    /// Transitions.
    pub transitions: u64,
    /// Signals: resets, retransmits, errors.
    pub signals: u64,
    /// Records of half-open connections.
    pub half_open: u64,
}

impl SampledOut {
    /// The counts of the kernel side.
    pub fn of(counters: &Counters, half_open: Option<&HalfOpenCounters>) -> Self {
        Self {
            transitions: counters.sampled_out,
            signals: counters.signals_sampled_out,
            half_open: half_open.map_or(0, |half_open| half_open.sampled_out),
        }
    }

    /// The sum of all.
    pub fn total(&self) -> u64 {
        self.transitions.saturating_add(self.signals).saturating_add(self.half_open)
    }

    /// The difference since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            transitions: self.transitions.saturating_sub(earlier.transitions),
            signals: self.signals.saturating_sub(earlier.signals),
            half_open: self.half_open.saturating_sub(earlier.half_open),
        }
    }
}
