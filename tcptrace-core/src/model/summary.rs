//! The account of a whole trace.

use tcptrace_common::Counters;

use super::{
    half_open,
    loss::{Lost, SampledOut},
    state::State,
};

/// The account of a whole trace: `seen = delivered + filtered + sampled out + lost`, without `missed_runs`, which the
/// kernel side never saw, and `others`, which are no transitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// When the trace ended, nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// Nanoseconds from attaching to detaching.
    pub elapsed_ns: u64,
    /// The kernel side's counters, the matrix among them.
    pub counters: Counters,
    /// Transitions that were written, or with `--quiet` counted.
    pub delivered: u64,
    /// Transitions that filters hid, in the kernel and in user space.
    pub filtered: u64,
    /// Losses by cause.
    pub lost: Lost,
    /// The kernel reports missed runs. Otherwise `lost.missed_runs` means nothing.
    pub missed_runs_known: bool,
    /// Sockets that were forgotten since the table was full.
    pub evicted: u64,
    /// Second children of one request that the kernel made and threw away: two CPUs had a packet of the request each. Their
    /// transitions are in the account; they are no connections.
    pub second_children: u64,
    /// Connections that were printed, when connections become lines instead of transitions.
    pub connections: Option<u64>,
    /// Inferred transitions, which are not among those delivered.
    pub inferred: u64,
    /// Corrections by dumps of the kernel's sockets.
    pub reconciled: Reconciled,
    /// Gaps of the dump of pre-existing sockets.
    pub snapshot_gaps: Option<String>,
    /// Limits of detectors whose tables were full, in words.
    pub uncounted: Vec<String>,
    /// The account of half-open connections, which do not mix with the transitions; `None` when it was not requested.
    pub half_open: Option<half_open::Summary>,
}

impl Summary {
    /// Records that were only counted, since there were too many.
    pub fn sampled_out(&self) -> SampledOut {
        SampledOut::of(&self.counters, self.half_open.as_ref().map(|half_open| &half_open.counters))
    }

    /// Whether anything was lost, or only counted.
    pub fn is_lossy(&self) -> bool {
        self.lost.total() > 0
            || self.sampled_out().total() > 0
            || self.half_open.as_ref().is_some_and(|half_open| half_open.lost.total() > 0)
    }

    /// Transitions that the kernel side saw.
    pub fn seen(&self) -> u64 {
        self.counters.total_seen()
    }

    /// The non-zero cells of the matrix: old state, new state, count.
    pub fn matrix(&self) -> impl Iterator<Item = (State, State, u64)> {
        (0_u8..).zip(&self.counters.seen).flat_map(|(old, row)| {
            (0_u8..)
                .zip(row)
                .filter(|(_, count)| **count != 0)
                .map(move |(new, count)| (State(old), State(new), *count))
        })
    }
}

/// Corrections by dumps so far. All of them follow from events that were lost or never came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Sockets whose beginning was not seen, though they are younger than the trace.
    pub appeared: u64,
    /// Sockets whose end was not seen.
    pub vanished: u64,
    /// Sockets in another state than the one that was seen last.
    pub changed: u64,
}

impl Reconciled {
    /// The sum of all.
    pub fn total(&self) -> u64 {
        self.appeared + self.vanished + self.changed
    }
}
