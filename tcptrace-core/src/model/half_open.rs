//! Half-open connections: SYN received, final ACK not yet. What happened to them, what a poll of the kernel has of them, and
//! the account of a trace.

use std::sync::Arc;

use tcptrace_common::{HalfOpenCounters, TCP_CLOSE, TCP_LISTEN, TCP_SYN_RECV};

use super::{flow::Flow, netstat::NamespaceCounters, owner::Owner, state::State};

/// Lost records of the kernel side, by cause. Zero everywhere means that nothing was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// No room in the ring buffer.
    pub ring_full: u64,
    /// Read, but not written when the trace had to end.
    pub output: u64,
    /// Not a record that this version understands.
    pub undecodable: u64,
    /// SYN-ACKs sent again that the kernel skipped the program for; not in `seen`.
    pub missed_runs: u64,
}

impl Lost {
    /// All of it.
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

/// The account of a whole trace. `begun = completed + timed_out + dropped + unknown + evicted + open`; of the kernel
/// side's records `seen = delivered + filtered + sampled out + lost`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Their outcomes; `None` when they were only counted.
    pub followed: Option<Counts>,
    /// The kernel side's counters.
    pub counters: HalfOpenCounters,
    /// Records of these that were written, or only counted.
    pub delivered: u64,
    /// Hidden by filters, in the kernel and in user space.
    pub filtered: u64,
    /// Lost by cause.
    pub lost: Lost,
    /// The namespaces' own counters, of what no event reports.
    pub namespaces: Vec<NamespaceCounters>,
    /// Why namespaces could not be polled, if any could not.
    pub unpolled: Option<String>,
}

/// Which connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Socket cookie, which the child inherits; 0 when unknown.
    pub cookie: u64,
    /// Between which ends. The local address is that of the SYN, also where the listener is bound to any. Whoever sent the SYN
    /// may have made up the remote one.
    pub flow: Flow,
}

/// Something happened to a half-open connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When, nanoseconds of `CLOCK_MONOTONIC`; of what a poll told, when that was.
    pub ktime_ns: u64,
    /// What.
    pub what: What,
    /// To which.
    pub connection: Connection,
    /// Nanoseconds since the SYN; `None` when that was not seen.
    pub age_ns: Option<u64>,
    /// How often its SYN-ACK has been sent again, as far as seen.
    pub retransmits: u32,
    /// Half-open connections of the same local address and port from now on.
    pub open: u64,
    /// The process that opened the listener, if certain.
    pub owner: Option<Arc<Owner>>,
    /// It is a record of the kernel side, one for one; what was inferred is not.
    pub recorded: bool,
}

/// A change of a half-open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It began.
    Begin(Source),
    /// No ACK came in time, or the SYN came once more: the SYN-ACK went out again.
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

/// How one ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The ACK came: it is a connection now.
    Completed,
    /// The ACK never came, and the kernel gave up.
    TimedOut,
    /// Reset by the peer, or given up by the kernel before its time: the listener was closed, or the queue was full.
    Dropped,
    /// Over, but how was not seen.
    Unknown,
}

impl What {
    /// As JSON and CSV have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Begin(_) => "begin",
            Self::Retransmit => "retransmit",
            Self::End(_) => "end",
        }
    }

    /// How it was noticed, or how it ended, as JSON and CSV have it.
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
    /// As if it was a transition: the state before, and the state after.
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
    /// Begun, those that were there before the trace included.
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

/// The half-open connections of some namespaces, as `sock_diag(7)` told them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Poll {
    /// The namespaces that were asked: inode, and when it was begun, nanoseconds of `CLOCK_MONOTONIC`.
    pub namespaces: Vec<(Option<u32>, u64)>,
    /// When the last answer was there.
    pub end_ns: u64,
    /// The half-open connections that they have.
    pub pending: Vec<Pending>,
}

/// One half-open connection in a [`Poll`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Which.
    pub connection: Connection,
    /// How often its SYN-ACK has been sent again.
    pub retransmits: u32,
    /// When its timer fires at the earliest, where that was told.
    pub fires_ns: Option<u64>,
}
