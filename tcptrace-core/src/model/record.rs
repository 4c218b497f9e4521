//! Records: the output of the pipeline, for sinks and subscribers.

use std::num::NonZeroU64;

use tcptrace_common::Level;

use crate::model::{
    clock_watch::ClockChange,
    finding::Finding,
    half_open,
    loss::{Lost, SampledOut},
    state::State,
    stats::Stats,
    summary::Summary,
    transition::Transition,
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
    /// The wall clock was set, or the host slept; or it only drifted, of which outputs say nothing.
    Clock(ClockChange),
    /// The counters, for who watches the trace itself. No output shows them.
    Stats(Box<Stats>),
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
    /// The finding; of one that has ended, as it last began or changed.
    pub finding: Finding,
}

/// Moments in the life of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
