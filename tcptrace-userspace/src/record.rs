//! What leaves the tracker and enters a sink.

use std::num::NonZeroU64;

use tcptrace_common::{Counters, Level};

use crate::{
    diagnosis::detect::Finding,
    model::{
        half_open,
        loss::{Lost, SampledOut},
        state::State,
        transition::Transition,
    },
    tracker::Reconciled,
};

/// All that a trace tells.
#[derive(Clone, Debug)]
pub enum Record {
    /// A socket changed its state. Sinks get millions of these, so there they come by themselves; this is for who keeps them.
    Transition(Transition),
    /// Something happened to a half-open connection.
    HalfOpen(half_open::Change),
    /// Records of half-open connections were lost since the last record of this kind.
    HalfOpenLoss(HalfOpenLoss),
    /// Transitions were lost since the last record of this kind.
    Loss(Loss),
    /// There is more than can be taken, and a part of it is only counted; or no longer.
    Degraded(Box<Degraded>),
    /// Something was found to be wrong, has got worse, or is over.
    Finding(Box<Found>),
    /// The end of the trace.
    Summary(Box<Summary>),
}

/// A moment in the life of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// When the scan was complete that shows it, nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// Which moment.
    pub phase: Phase,
    /// The finding; of one that has ended, as it was last.
    pub finding: Finding,
}

/// Moments in the life of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It shows for the first time.
    Begun,
    /// It is more severe than before, or its owner is known at last.
    Changed,
    /// Scans no longer show it.
    Ended,
}

/// A loss, told where it happened in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// When it was noticed, nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// Since the last such record.
    pub lost: Lost,
    /// Since the start.
    pub total: NonZeroU64,
}

/// A loss of records of half-open connections, told where it happened in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalfOpenLoss {
    /// When it was noticed, nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// Since the last such record.
    pub lost: half_open::Lost,
    /// Since the start.
    pub total: u64,
}

/// How much of the stream is left out, told where that begins, changes and ends, and now and then while it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Degraded {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// From now on.
    pub level: Level,
    /// Only counted, since the last such record.
    pub sampled_out: SampledOut,
    /// Since the start.
    pub total: u64,
    /// All transitions that were seen since the last such record, or since it began, by old and new state.
    pub seen: Vec<(State, State, u64)>,
}

/// The account of a whole trace: `seen = delivered + filtered + sampled out + lost`, without `missed_runs`, which the
/// kernel side never saw, and `others`, which are no transitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// When it ended, nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// Nanoseconds from attaching to detaching.
    pub elapsed_ns: u64,
    /// The kernel side's counters, the matrix among them.
    pub counters: Counters,
    /// Written, or with `--quiet` counted.
    pub delivered: u64,
    /// Hidden by filters, in the kernel and in user space.
    pub filtered: u64,
    /// Lost by cause.
    pub lost: Lost,
    /// The kernel tells missed runs; without, `lost.missed_runs` means nothing.
    pub missed_runs_known: bool,
    /// Sockets forgotten since the table was full.
    pub evicted: u64,
    /// Children that the kernel made of a request that had one already, and threw away: two CPUs had a packet of it each.
    /// Their transitions are in the account; they are no connections.
    pub second_children: u64,
    /// Connections that were printed, when these become lines and not the transitions.
    pub connections: Option<u64>,
    /// Inferred transitions, which are not among those delivered.
    pub inferred: u64,
    /// What lists of the kernel's sockets have put right.
    pub reconciled: Reconciled,
    /// Of the sockets that are older than the trace, what could not be seen.
    pub unlisted: Option<String>,
    /// What detectors could not tell apart since their tables were full, in words.
    pub uncounted: Vec<String>,
    /// The account of half-open connections, which do not mix with the transitions; `None` when nobody asked for it.
    pub half_open: Option<half_open::Summary>,
}

impl Summary {
    /// What was only counted, since there was too much.
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
