//! The state of a running trace in numbers.

use std::sync::Arc;

use tcptrace_common::Level;

use super::{input::Counted, loss::Lost};

/// The state of a running trace, as exact as the kernel side counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// When the counters were read, nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// The kernel side's counters since the start, the matrix of transitions among them.
    pub counted: Counted,
    /// Losses since the start.
    pub lost: Lost,
    /// How much of the stream is left out from now on.
    pub level: Level,
    /// Sockets that the tracker remembers.
    pub sockets: usize,
    /// Half-open connections that are open now; 0 where they are not followed.
    pub half_open: usize,
    /// Records that wait for their turn.
    pub waiting: usize,
    /// The subscribers, and what each of them lost.
    pub subscribers: Vec<SubscriberAccount>,
}

/// The account of one subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriberAccount {
    /// The name that it subscribed with.
    pub name: Arc<str>,
    /// Records that it received.
    pub delivered: u64,
    /// Records for which its queue had no capacity.
    pub lost: u64,
    /// It gets no more records: it went away, or its queue was full and it had asked to end then.
    pub has_ended: bool,
}
