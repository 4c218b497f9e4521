//! Half-open connections: SYN received, final ACK not yet. This module has their changes, the polls of the kernel, and the
//! account of a trace.

use std::sync::Arc;

use tcptrace_common::{HalfOpenCounters, TCP_CLOSE, TCP_LISTEN, TCP_SYN_RECV};

use super::{flow::Flow, netstat::NamespaceCounters, owner::Owner, state::State};

/// Lost records of the kernel side, by cause. Zero everywhere means that nothing was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Records for which the ring buffer had no capacity.
    pub ring_full: u64,
    /// Records that were read, but not written when the trace had to end.
    pub output: u64,
    /// Records that this version does not understand.
    pub undecodable: u64,
    /// SYN-ACKs sent again for which the kernel skipped the program; they are not in `seen`.
    pub missed_runs: u64,
}

impl Lost {
    /// The sum of all causes.
    pub const fn total(&self) -> u64 {
        self.ring_full
            .saturating_add(self.output)
            .saturating_add(self.undecodable)
            .saturating_add(self.missed_runs)
    }

    /// The difference since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            ring_full: self.ring_full.saturating_sub(earlier.ring_full),
            output: self.output.saturating_sub(earlier.output),
            undecodable: self.undecodable.saturating_sub(earlier.undecodable),
            missed_runs: self.missed_runs.saturating_sub(earlier.missed_runs),
        }
    }
}

/// The account of a whole trace: `begun = completed + timed_out + dropped + unknown + evicted + open`. For the kernel side's
/// records, `seen = delivered + filtered + sampled out + lost`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The outcomes; `None` when half-open connections were only counted.
    pub followed: Option<Counts>,
    /// The kernel side's counters.
    pub counters: HalfOpenCounters,
    /// Records of half-open connections that were written, or only counted.
    pub delivered: u64,
    /// Records that filters hid, in the kernel and in user space.
    pub filtered: u64,
    /// Lost records, by cause.
    pub lost: Lost,
    /// The namespaces' own counters, for what no event reports.
    pub namespaces: Vec<NamespaceCounters>,
    /// Why namespaces could not be polled, if any could not.
    pub unpolled: Option<String>,
}

/// A half-open connection: its cookie and its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Socket cookie, which the child inherits; 0 when unknown.
    pub cookie: u64,
    /// The ends. The local address is that of the SYN, also where the listener is bound to any address. The sender of the
    /// SYN may have forged the remote address.
    pub flow: Flow,
}

/// A change of a half-open connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The time of the change, nanoseconds of `CLOCK_MONOTONIC`; for a change that a poll found, the time of the poll.
    pub ktime_ns: u64,
    /// The kind of change.
    pub what: What,
    /// The connection.
    pub connection: Connection,
    /// Nanoseconds since the SYN; `None` when the SYN was not seen.
    pub age_ns: Option<u64>,
    /// How often its SYN-ACK has been sent again, as far as seen.
    pub retransmits: u32,
    /// Half-open connections of the same local address and port from now on.
    pub open: u64,
    /// The process that opened the listener, if certain.
    pub owner: Option<Arc<Owner>>,
    /// The change is a record of the kernel side, one for one. An inferred change is not.
    pub recorded: bool,
}

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It began.
    Begin(Source),
    /// No ACK came in time, or the SYN came again: the SYN-ACK was sent again.
    Retransmit,
    /// It ended.
    End(End),
}

/// How a beginning was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// By its SYN, at once.
    Syn,
    /// By the first SYN-ACK that was sent again, about a second later.
    Retransmit,
    /// By a poll; it may be old.
    Poll,
}

/// How a half-open connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The ACK came: it is a connection now.
    Completed,
    /// The ACK never came, and the kernel gave up.
    TimedOut,
    /// Reset by the peer, or given up by the kernel before its time: the listener was closed, or the queue was full.
    Dropped,
    /// It ended, but how was not seen.
    Unknown,
}

impl What {
    /// Its name in JSON and CSV.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Begin(_) => "begin",
            Self::Retransmit => "retransmit",
            Self::End(_) => "end",
        }
    }

    /// How it was noticed, or how it ended: the name in JSON and CSV.
    pub const fn cause(self) -> Option<&'static str> {
        Some(match self {
            Self::Begin(Source::Syn) => "syn",
            Self::Begin(Source::Retransmit) => "retransmit",
            Self::Begin(Source::Poll) => "poll",
            Self::Retransmit => return None,
            Self::End(End::Completed) => "completed",
            Self::End(End::TimedOut) => "timed_out",
            Self::End(End::Dropped) => "dropped",
            Self::End(End::Unknown) => "unknown",
        })
    }
}

impl What {
    /// The change in the form of a transition: the state before, and the state after.
    pub const fn states(self) -> (State, State) {
        match self {
            Self::Begin(_) => (State(TCP_LISTEN), State::NEW_SYN_RECV),
            Self::Retransmit => (State::NEW_SYN_RECV, State::NEW_SYN_RECV),
            Self::End(End::Completed) => (State::NEW_SYN_RECV, State(TCP_SYN_RECV)),
            Self::End(_) => (State::NEW_SYN_RECV, State(TCP_CLOSE)),
        }
    }
}

/// Outcomes of all half-open connections that were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Begun half-open connections, pre-existing ones included.
    pub begun: u64,
    /// SYN-ACKs sent again.
    pub retransmits: u64,
    /// Ended as connections.
    pub completed: u64,
    /// Given up by the kernel when no ACK came.
    pub timed_out: u64,
    /// Reset, or given up before their time.
    pub dropped: u64,
    /// Ended unseen.
    pub unknown: u64,
    /// Forgotten since the table was full.
    pub evicted: u64,
    /// Not ended yet.
    pub open: u64,
}

/// The half-open connections of some namespaces, as `sock_diag(7)` reported them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Poll {
    /// The namespaces that were polled: the inode, and the begin of the poll in nanoseconds of `CLOCK_MONOTONIC`.
    pub namespaces: Vec<(Option<u32>, u64)>,
    /// When the last response arrived.
    pub end_ns: u64,
    /// The half-open connections in these namespaces.
    pub pending: Vec<Pending>,
}

/// One half-open connection in a [`Poll`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The connection.
    pub connection: Connection,
    /// How often its SYN-ACK has been sent again.
    pub retransmits: u32,
    /// The earliest time at which its timer fires, where the kernel reported it.
    pub fires_ns: Option<u64>,
}
