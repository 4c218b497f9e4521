//! What leaves the tracker and enters a sink.

use std::{num::NonZeroU64, sync::Arc};

use tcptrace_common::{Counters, HalfOpenCounters, Level};

use crate::{
    close::Closing,
    detect::{Finding, Sample},
    event::Event,
    half_open,
    process::Process,
    state::State,
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
    /// How the host was at one moment.
    Sample(Box<Sample>),
    /// How it was could not be seen, and why.
    Unsampled(String),
    /// Something was found to be wrong.
    Finding(Box<Found>),
    /// The end of the trace.
    Summary(Box<Summary>),
}

/// A finding, and when it first showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// What.
    pub finding: Finding,
}

/// A transition with what only the socket's history tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What the kernel said.
    pub event: Event,
    /// Nanoseconds in the old state; `None` when its beginning was not seen.
    pub in_old_state_ns: Option<u64>,
    /// Nanoseconds in the old state at least, where its beginning was not seen: it was in it when the trace first
    /// looked, or what the kernel keeps of it tells more.
    pub at_least_ns: Option<u64>,
    /// The process that owns the socket, if certain.
    pub owner: Option<Arc<Owner>>,
    /// Who says that it happened.
    pub origin: Origin,
    /// How the connection ended, at CLOSE.
    pub closing: Option<Box<Closing>>,
}

impl Transition {
    /// What the kernel said, before a tracker has completed it.
    pub const fn of(event: Event) -> Self {
        Self {
            event,
            in_old_state_ns: None,
            at_least_ns: None,
            owner: None,
            origin: Origin::Observed,
            closing: None,
        }
    }

    /// Whether a connection ends with it. What goes on afterwards as a timewait socket, in TIME_WAIT for instance, is
    /// no part of the connection's life; a listener is no connection.
    pub fn ends_connection(&self) -> bool {
        self.event.new_state == State::CLOSE
            && self.event.old_state != State::LISTEN
            && self.origin == Origin::Observed
    }

    /// Segments sent again over the connection's life, by the socket or as counted one by one; `None` when neither tells.
    pub fn retransmits(&self) -> Option<u32> {
        let counted = self.closing.as_ref().and_then(|closing| closing.retransmits);
        self.event.metrics.map(|metrics| metrics.retransmits).or(counted)
    }
}

/// Who says that a transition happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The kernel's event.
    Observed,
    /// It follows from what was observed: of timewait sockets, such as those in TIME_WAIT, the kernel reports nothing.
    Inferred,
}

impl Origin {
    /// As JSON and CSV have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Inferred => "inferred",
        }
    }
}

/// A process that owns a socket.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Owner {
    /// Process id.
    pub pid: u32,
    /// Real user id.
    pub uid: u32,
    /// Name of the thread that acted, NUL-padded, any bytes.
    pub comm: [u8; 16],
    /// How it is known.
    pub provenance: Provenance,
    /// Other processes that hold the socket open: those of a pre-fork server, or who was passed a descriptor.
    pub others: Option<Arc<[u32]>>,
    /// What the process is, if someone looked while it lived.
    pub process: Option<Arc<Process>>,
}

/// How an owner is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Provenance {
    /// The process acted on this socket itself.
    Exact,
    /// The process opened the listener that this socket came from; who accepted it is not known yet.
    Inherited,
    /// The process had the socket open when the host was last looked at.
    Snapshot,
}

impl Provenance {
    /// As JSON and CSV have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Inherited => "inherited",
            Self::Snapshot => "snapshot",
        }
    }
}

/// Lost transitions by cause. Zero everywhere means that nothing was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
}

impl Lost {
    /// All of it. A capture may say anything, so sums stop at the end of their range.
    pub fn total(&self) -> u64 {
        self.transitions().saturating_add(self.missed_runs).saturating_add(self.others)
    }

    /// Transitions that the kernel side saw.
    pub fn transitions(&self) -> u64 {
        self.ring_full.saturating_add(self.output).saturating_add(self.undecodable)
    }

    /// What came since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            ring_full: self.ring_full.saturating_sub(earlier.ring_full),
            output: self.output.saturating_sub(earlier.output),
            undecodable: self.undecodable.saturating_sub(earlier.undecodable),
            missed_runs: self.missed_runs.saturating_sub(earlier.missed_runs),
            others: self.others.saturating_sub(earlier.others),
        }
    }
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

/// What was wanted, and only counted, since there was too much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
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

    /// What came since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            transitions: self.transitions.saturating_sub(earlier.transitions),
            signals: self.signals.saturating_sub(earlier.signals),
            half_open: self.half_open.saturating_sub(earlier.half_open),
        }
    }
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
    /// Connections that were printed, when these become lines and not the transitions.
    pub connections: Option<u64>,
    /// Inferred transitions, which are not among those delivered.
    pub inferred: u64,
    /// What lists of the kernel's sockets have put right.
    pub reconciled: Reconciled,
    /// Of the sockets that are older than the trace, what could not be seen.
    pub unlisted: Option<String>,
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
