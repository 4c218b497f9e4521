//! Resets, kept for a moment until the end of their connection is told.

use std::{collections::HashMap, sync::Arc};

use crate::{bpf::ResetReasons, event::Reset};

/// A reset and the transition that belongs to it happen within the same call.
const SAME_CALL_NS: u64 = 1_000_000;
/// More than any host sends within that time; then they are forgotten together.
const LIMIT: usize = 4_096;

/// The last reset of each socket, by its address.
#[derive(Default)]
pub(super) struct Resets {
    by_skaddr: HashMap<u64, Reset>,
    reasons: HashMap<u32, Arc<str>>,
}

impl Resets {
    pub(super) fn new(reasons: &ResetReasons) -> Self {
        let reasons = reasons.iter().map(|(value, name)| (*value, Arc::from(name.as_str()))).collect();
        Self { reasons, ..Self::default() }
    }

    pub(super) fn add(&mut self, reset: Reset) {
        if self.by_skaddr.len() >= LIMIT {
            self.by_skaddr.retain(|_, old| reset.ktime_ns.saturating_sub(old.ktime_ns) < SAME_CALL_NS);
        }
        if self.by_skaddr.len() < LIMIT {
            self.by_skaddr.insert(reset.skaddr, reset);
        }
    }

    /// The reset that belongs to a transition to CLOSE of the socket at `skaddr`.
    pub(super) fn take(&mut self, skaddr: u64, ktime_ns: u64) -> Option<Reset> {
        let reset = self.by_skaddr.remove(&skaddr)?;
        (reset.ktime_ns.abs_diff(ktime_ns) < SAME_CALL_NS).then_some(reset)
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
