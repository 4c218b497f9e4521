//! Resets, kept for a moment until the end of their connection is told.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    bpf::ResetReasons,
    event::{Event, Reset},
};

/// A reset and the transition that belongs to it happen within the same call, which an interrupt or a hypervisor may hold
/// up.
const HELD_UP_NS: u64 = 100_000_000;

/// As long as that call usually takes: all that tells, without cookies, whose the reset is.
const SAME_CALL_NS: u64 = 1_000_000;

/// Resets by their socket's address and their time: the kernel soon gives the address to another socket, whose reset may
/// be here as well before the first one's end is told.
#[derive(Default)]
pub(super) struct Resets {
    by_socket: BTreeMap<(u64, u64), Reset>,
    reasons: BTreeMap<u32, Arc<str>>,
}

impl Resets {
    pub(super) fn new(reasons: &ResetReasons) -> Self {
        let reasons = reasons.iter().map(|(value, name)| (*value, Arc::from(name.as_str()))).collect();
        Self { reasons, ..Self::default() }
    }

    pub(super) fn add(&mut self, reset: Reset) {
        self.by_socket.insert((reset.skaddr, reset.ktime_ns), reset);
    }

    /// The reset that belongs to a transition to CLOSE: of those of that moment one that was sent, since `tcp_reset()`
    /// reports one as received also where data came for a closed socket.
    pub(super) fn take(&mut self, event: &Event) -> Option<Reset> {
        let (skaddr, ktime_ns) = (event.skaddr, event.ktime_ns);
        let (first, last) = (ktime_ns.saturating_sub(HELD_UP_NS), ktime_ns.saturating_add(HELD_UP_NS));
        let of_that_moment = self.by_socket.range((skaddr, first)..(skaddr, last));
        let its = of_that_moment.filter(|(_, reset)| belongs(reset, event));
        let nearest = its.min_by_key(|(_, reset)| (!reset.sent, reset.ktime_ns.abs_diff(ktime_ns)));
        let key = *nearest?.0;
        self.by_socket.remove(&key)
    }

    /// Forgets those that belong to nothing after `ktime_ns`.
    pub(super) fn forget(&mut self, ktime_ns: u64) {
        let first = ktime_ns.saturating_sub(HELD_UP_NS);
        self.by_socket.retain(|(_, reset_ns), _| *reset_ns >= first);
    }

    /// The kernel's name for why it was sent; a number that has none stays a number.
    pub(super) fn reason(&self, reset: &Reset) -> Option<Arc<str>> {
        if !reset.sent || reset.reason == 0 {
            return None;
        }
        let known = self.reasons.get(&reset.reason).cloned();
        Some(known.unwrap_or_else(|| Arc::from(reset.reason.to_string())))
    }
}

fn belongs(reset: &Reset, event: &Event) -> bool {
    match (reset.cookie, event.cookie) {
        (0, _) | (_, 0) => reset.ktime_ns.abs_diff(event.ktime_ns) < SAME_CALL_NS,
        (of_reset, of_event) => of_reset == of_event,
    }
}
