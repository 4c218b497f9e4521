//! Inputs of the pure half of a trace: everything that its output depends on, in order. A capture is a file of inputs.

use std::sync::Arc;

use tcptrace_common::{Counters, HalfOpenCounters};

use super::{scan::HostScan, socket_dump::SocketDump};
use crate::model::{
    clock_watch::ClockChange,
    half_open::Poll,
    loss::Lost,
    netstat::NamespaceCounters,
    process::Process,
    text::{distrusted, is_netns_name},
};

/// An input. Dumps and polls enter once every event up to their end has been taken.
#[derive(Debug)]
pub enum Input<'a> {
    /// An entry of the ring: raw records.
    Entry(&'a [u8]),
    /// Every record up to this time has been taken, nanoseconds of `CLOCK_MONOTONIC`.
    Released(u64),
    /// A resolved process. The input comes before the release of the record that raised the question.
    Process(Answer<u32, Arc<Process>>),
    /// The inode number of the network namespace with a cookie. The input comes before the release of its record, too.
    Namespace(Answer<u64, u32>),
    /// The dump of pre-existing sockets.
    FirstDump(SocketDump),
    /// A dump of all sockets begins.
    DumpBegins,
    /// A later dump.
    Dumped {
        /// The dump.
        dump: SocketDump,
        /// The trace had no earlier dump.
        is_first: bool,
    },
    /// A poll of half-open connections begins.
    PollBegins,
    /// The result of the poll.
    Polled(Poll),
    /// A scan of the host.
    Scanned(Box<HostScan>),
    /// The wall clock has moved against that of the events.
    Clock(ClockChange),
    /// The losses so far, and the time.
    Checked(Checked),
    /// The counters so far.
    Counted(Box<Counted>),
    /// The end.
    Ended(Box<Ended>),
    /// A process that owned sockets has ended. The input comes before the release of the first record to which that matters.
    Exited(Exit),
    /// The name of a network device, by the inode number of its namespace and its index there. The input comes before the
    /// release of its record, too.
    Device(Answer<(u32, u32), Arc<str>>),
    /// An input of a later version of tcptrace, which this one does not know.
    Unknown,
}

impl Input<'_> {
    /// Escapes the texts of a capture that are to be printed: the writer of the capture may have put anything into them.
    /// Names of processes and of interfaces are escaped wherever they are.
    #[must_use]
    pub fn distrusted(mut self) -> Self {
        match &mut self {
            Self::Ended(ended) => {
                for text in [&mut ended.unpolled, &mut ended.snapshot_gaps] {
                    *text = text.take().map(distrusted);
                }
            }
            Self::Scanned(scan) => {
                if let Err(why) = &mut scan.sockets {
                    *why = distrusted(std::mem::take(why));
                }
                for (_, namespace) in &mut scan.namespaces {
                    // The name becomes part of a command.
                    namespace.name = namespace.name.take().filter(|name| is_netns_name(name));
                }
            }
            _ => {}
        }
        self
    }
}

/// A process: its id and, where it is known, when it started, in clock ticks since boot.
pub type Key = (u32, Option<u64>);

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The process.
    pub process: Key,
    /// The time by which it had ended, nanoseconds of `CLOCK_MONOTONIC`.
    pub by_ns: u64,
}

/// The answer to a question, valid from an event's time on. It has no value where the resolver did not know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<K, V> {
    /// Time of the event that raised the question, nanoseconds of `CLOCK_MONOTONIC`.
    pub from_ns: u64,
    /// The question.
    pub key: K,
    /// The answer.
    pub value: Option<V>,
}

/// The state of the trace apart from its records, several times a second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// When, nanoseconds of `CLOCK_MONOTONIC`.
    pub now_ns: u64,
    /// Losses of the kernel side, in total.
    pub lost: Lost,
    /// Lost records of half-open connections: those for which the ring had no capacity, and those not seen.
    pub half_open: (u64, u64),
    /// `net.ipv4.tcp_synack_retries` by network namespace.
    pub retries: Vec<(Option<u32>, u32)>,
    /// How much is left out from now on, as the number of a `tcptrace_common::Level`.
    pub level: u32,
}

/// The kernel side's counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Counters of transitions.
    pub counters: Counters,
    /// Counters of half-open connections.
    pub half_open: HalfOpenCounters,
}

impl Default for Counted {
    fn default() -> Self {
        Self { counters: Counters::ZERO, half_open: HalfOpenCounters::default() }
    }
}

impl Counted {
    /// The difference from here to `later`.
    #[must_use]
    pub fn until(&self, later: &Self) -> Self {
        let (a, b) = (&self.counters, &later.counters);
        let mut seen = b.seen;
        for (count, before) in seen.iter_mut().flatten().zip(a.seen.iter().flatten()) {
            *count = count.saturating_sub(*before);
        }
        let counters = Counters {
            seen,
            delivered: b.delivered.saturating_sub(a.delivered),
            filtered: b.filtered.saturating_sub(a.filtered),
            lost_ring_full: b.lost_ring_full.saturating_sub(a.lost_ring_full),
            other_protocol: b.other_protocol.saturating_sub(a.other_protocol),
            same_state: b.same_state.saturating_sub(a.same_state),
            signals_delivered: b.signals_delivered.saturating_sub(a.signals_delivered),
            signals_lost: b.signals_lost.saturating_sub(a.signals_lost),
            sampled_out: b.sampled_out.saturating_sub(a.sampled_out),
            signals_sampled_out: b.signals_sampled_out.saturating_sub(a.signals_sampled_out),
        };
        let (a, b) = (&self.half_open, &later.half_open);
        let half_open = HalfOpenCounters {
            syns: b.syns.saturating_sub(a.syns),
            retransmits: b.retransmits.saturating_sub(a.retransmits),
            filtered: b.filtered.saturating_sub(a.filtered),
            lost_ring_full: b.lost_ring_full.saturating_sub(a.lost_ring_full),
            sampled_out: b.sampled_out.saturating_sub(a.sampled_out),
        };
        Self { counters, half_open }
    }
}

impl Counted {
    /// Records that passed the filters: sent, sampled out or lost.
    pub fn wanted(&self) -> u64 {
        let (counters, half_open) = (&self.counters, &self.half_open);
        [
            counters.delivered,
            counters.lost_ring_full,
            counters.sampled_out,
            counters.signals_delivered,
            counters.signals_lost,
            counters.signals_sampled_out,
            half_open.seen().saturating_sub(half_open.filtered),
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

/// Facts that are known at the end only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// When the kernel side was detached, nanoseconds of `CLOCK_MONOTONIC`.
    pub end_ns: u64,
    /// The final counters.
    pub counted: Counted,
    /// Records that were put on the ring; `None` when it is not known how many there were at the end.
    pub submitted: Option<u64>,
    /// Runs of the program that the kernel skipped; `None` where the kernel does not report them.
    pub missed_runs: Option<u64>,
    /// Runs for signals that the kernel skipped.
    pub missed_signals: u64,
    /// Runs for half-open connections that the kernel skipped.
    pub half_open_missed: u64,
    /// How the counters of the network namespaces grew.
    pub namespaces: Vec<NamespaceCounters>,
    /// Why half-open connections could not be polled.
    pub unpolled: Option<String>,
    /// Gaps of the dump of pre-existing sockets.
    pub snapshot_gaps: Option<String>,
}
