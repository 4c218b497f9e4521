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

/// Everything that a trace reports.
#[derive(Clone, Debug)]
pub enum Record {
    /// A socket changed its state. Sinks get millions of transitions, by a call of their own. This variant is for
    /// subscribers, which keep records.
    Transition(Transition),
    /// Something happened to a half-open connection.
    HalfOpen(half_open::Change),
    /// Records of half-open connections were lost since the last record of this kind.
    HalfOpenLoss(HalfOpenLoss),
    /// Transitions were lost since the last record of this kind.
    Loss(Loss),
    /// There are more records than can be taken, so that a part of them is only counted; or this has ended.
    Degraded(Box<Degraded>),
    /// A finding has begun, has got worse, or is over.
    Finding(Box<Found>),
    /// The wall clock was set, or the host slept; or the clock only drifted, which outputs do not show.
    Clock(ClockChange),
    /// The counters, for programs that monitor the trace itself. No output shows them.
    Stats(Box<Stats>),
    /// The end of the trace.
    Summary(Box<Summary>),
}

/// A moment in the life of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// When the scan that shows the finding was complete, nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// The moment.
    pub phase: Phase,
    /// The finding. A finding that has ended is as it last began or changed.
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

/// A loss, reported where it happened in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// When it was noticed, nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// Losses since the last such record.
    pub lost: Lost,
    /// All losses since the start.
    pub total: NonZeroU64,
}

/// A loss of records of half-open connections, reported where it happened in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalfOpenLoss {
    /// When it was noticed, nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// Losses since the last such record.
    pub lost: half_open::Lost,
    /// All losses since the start.
    pub total: u64,
}

/// How much of the stream is left out. This is reported where it begins, changes and ends, and at intervals while it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Degraded {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// The level from now on.
    pub level: Level,
    /// Records that were only counted since the last such record.
    pub sampled_out: SampledOut,
    /// All records that were only counted since the start.
    pub total: u64,
    /// All transitions that were seen since the last such record, or since it began, by old and new state.
    pub seen: Vec<(State, State, u64)>,
}
