//! Signals, kept for a moment until the end of their connection is reported.

use std::{collections::BTreeMap, sync::Arc};

use hashlink::LinkedHashMap;

use crate::model::{
    event::{Abort, ErrorReport, Event, Reset},
    flow::Flow,
    hash::HashMap,
    hooks::ResetReasons,
};

/// The most time between a signal and its transition, nanoseconds. Both happen within the same call, which an interrupt or a
/// hypervisor may hold up.
pub(super) const HELD_UP_NS: u64 = 100_000_000;

/// The usual length of that call, nanoseconds. It alone relates a reset to its socket where neither cookie nor ports do.
const SAME_CALL_NS: u64 = 1_000_000;

/// How many resets of one address are considered, before a transition and after it: a busy host gives an address to
/// thousands of sockets within [`HELD_UP_NS`], and a socket's own reset is among the nearest.
const NEAREST: usize = 32;

/// The most signals of each kind: no host has so many in a second. A capture that was tampered with may have any number, of
/// any time.
const MOST: usize = 1 << 20;
/// The most senders of resets: those of a tenth of a second.
const MOST_SENT: usize = 1 << 16;

/// Signals that wait for their transition. Resets are kept by their socket's address and their time: the kernel soon gives
/// the address to another socket, whose reset may be here as well before the end of the first one is reported.
#[derive(Default)]
pub(super) struct Signals {
    resets: BTreeMap<(u64, u64), Reset>,
    /// When a socket that has ended last sent a reset, by its ends without the namespace; the oldest first.
    sent: LinkedHashMap<Flow, u64>,
    aborts: HashMap<u64, Abort>,
    errors: HashMap<Flow, ErrorReport>,
    reasons: BTreeMap<u32, Arc<str>>,
}

impl Signals {
    pub(super) fn new(reasons: &ResetReasons) -> Self {
        let reasons = reasons.iter().map(|(value, name)| (*value, Arc::from(name.as_str()))).collect();
        Self { reasons, ..Self::default() }
    }

    pub(super) fn add_reset(&mut self, reset: Reset) {
        if self.resets.len() < MOST {
            self.resets.insert((reset.skaddr, reset.ktime_ns), reset);
        }
    }

    pub(super) fn add_abort(&mut self, abort: Abort) {
        if self.aborts.len() < MOST {
            self.aborts.insert(abort.skaddr, abort);
        }
    }

    /// Whether the socket that went to CLOSE was destroyed from outside in that call.
    pub(super) fn was_aborted(&self, event: &Event) -> bool {
        self.aborts.get(&event.skaddr).is_some_and(|abort| {
            abort.ktime_ns.abs_diff(event.ktime_ns) < HELD_UP_NS
                && (abort.cookie == event.cookie || abort.cookie == 0 || event.cookie == 0)
        })
    }

    /// Notes that the socket of this event has sent a reset.
    pub(super) fn note_sent(&mut self, event: &Event, ktime_ns: u64) {
        self.sent.insert(event.flow.anywhere(), ktime_ns);
        if self.sent.len() > MOST_SENT {
            self.sent.pop_front();
        }
    }

    /// Whether the event's peer is a socket of this host, which has sent a reset just then. Such a reset passes no wire. The
    /// event does not show the namespace of the peer, which is often another one.
    pub(super) fn peer_has_sent(&self, event: &Event) -> bool {
        let sent = self.sent.get(&event.flow.anywhere().reversed());
        sent.is_some_and(|ktime_ns| ktime_ns.abs_diff(event.ktime_ns) < SAME_CALL_NS)
    }

    pub(super) fn add_error(&mut self, report: ErrorReport) {
        if self.errors.len() < MOST {
            self.errors.insert(report.flow, report);
        }
    }

    /// Takes out the error that was reported as a connection went to CLOSE.
    pub(super) fn take_error(&mut self, event: &Event) -> Option<i32> {
        let flow = event.flow.anywhere();
        let of_that_moment =
            self.errors.get(&flow).filter(|report| report.ktime_ns.abs_diff(event.ktime_ns) < HELD_UP_NS);
        let error = of_that_moment?.error;
        self.errors.remove(&flow);
        Some(error)
    }

    /// Takes out the reset that belongs to a transition to CLOSE. A sent reset is preferred to a received one, since
    /// `tcp_reset()` reports a reset as received also where data came for a closed socket.
    pub(super) fn take_reset(&mut self, event: &Event) -> Option<Reset> {
        let (skaddr, ktime_ns) = (event.skaddr, event.ktime_ns);
        let (first, last) = (ktime_ns.saturating_sub(HELD_UP_NS), ktime_ns.saturating_add(HELD_UP_NS));
        let before = self.resets.range((skaddr, first)..(skaddr, ktime_ns)).rev().take(NEAREST);
        let after = self.resets.range((skaddr, ktime_ns)..(skaddr, last)).take(NEAREST);
        let its = before.chain(after).filter(|(_, reset)| belongs(reset, event));
        let nearest = its.min_by_key(|(_, reset)| (!reset.sent, reset.ktime_ns.abs_diff(ktime_ns)));
        let key = *nearest?.0;
        self.resets.remove(&key)
    }

    /// Forgets the signals that belong to no transition after `ktime_ns`.
    pub(super) fn forget(&mut self, ktime_ns: u64) {
        let first = ktime_ns.saturating_sub(HELD_UP_NS);
        self.resets.retain(|(_, reset_ns), _| *reset_ns >= first);
        while self.sent.front().is_some_and(|(_, sent_ns)| *sent_ns < first) {
            self.sent.pop_front();
        }
        self.aborts.retain(|_, abort| abort.ktime_ns >= first);
        self.errors.retain(|_, report| report.ktime_ns >= first);
    }

    /// The kernel's name of the reason for a sent reset. A number without a name stays a number.
    pub(super) fn reason(&self, reset: &Reset) -> Option<Arc<str>> {
        if !reset.sent || reset.reason == 0 {
            return None;
        }
        let known = self.reasons.get(&reset.reason).cloned();
        Some(known.unwrap_or_else(|| Arc::from(reset.reason.to_string())))
    }
}

fn belongs(reset: &Reset, event: &Event) -> bool {
    if reset.cookie != 0 && event.cookie != 0 {
        return reset.cookie == event.cookie;
    }
    match reset.ports {
        (0, _) | (_, 0) => reset.ktime_ns.abs_diff(event.ktime_ns) < SAME_CALL_NS,
        ports => ports == (event.flow.local.port, event.flow.remote.port),
    }
}
