//! Losses: records that a trace should have reported and did not, by cause.

use tcptrace_common::{Counters, HalfOpenCounters};

/// Lost transitions by cause. Zero everywhere means that nothing was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// No room in the ring buffer: the reader, or the output behind it, was too slow.
    pub ring_full: u64,
    /// Read, but not written when the trace had to end.
    pub output: u64,
    /// Not a record that this version understands.
    pub undecodable: u64,
    /// Runs of the program that the kernel skipped; each a transition that nothing else counts.
    pub missed_runs: u64,
    /// Signals (resets, retransmits, errors) for which the ring had no room, or that the kernel did not run the program for.
    pub others: u64,
    /// Inputs of a capture that this version does not know, since a later one has recorded them. Each may have been anything.
    pub skipped_inputs: u64,
}

impl Lost {
    /// All of it. A capture may say anything, so sums stop at the end of their range.
    pub fn total(&self) -> u64 {
        [self.missed_runs, self.others, self.skipped_inputs]
            .into_iter()
            .fold(self.transitions(), u64::saturating_add)
    }

    /// Transitions that the kernel side saw.
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
    /// As the kernel side has counted it.
    pub fn of(counters: &Counters, half_open: Option<&HalfOpenCounters>) -> Self {
        Self {
            transitions: counters.sampled_out,
            signals: counters.signals_sampled_out,
            half_open: half_open.map_or(0, |half_open| half_open.sampled_out),
        }
    }

    /// All of it.
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
