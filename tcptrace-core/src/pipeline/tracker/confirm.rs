//! Comparing timewait sockets with a dump of the kernel's, a part at a time: there may be more than a hundred thousand.

use std::vec;

use super::{Span, Tracker, timewait::Gone};
use crate::model::{socket_dump::PreexistingTimewait, transition::Transition};

/// Sockets of a part: no more than become about a chunk of lines.
const PART: usize = 512;

/// A comparison that has begun.
pub(super) struct Confirming {
    listed: vec::IntoIter<PreexistingTimewait>,
    namespaces: Vec<Span>,
    /// What was not listed, once all that was is known.
    gone: Option<vec::IntoIter<Gone>>,
}

impl Tracker {
    /// Whether a dump of the kernel's timewait sockets would tell something; see [`Self::confirm`].
    pub fn wants_dump(&self) -> bool {
        self.timewait.waits_for_fin()
    }

    /// Takes the kernel's dump of all timewait sockets in `namespaces`, for [`Self::confirm_part`]. Every event up to its end
    /// must have been tracked.
    pub fn confirm(&mut self, listed: Vec<PreexistingTimewait>, namespaces: Vec<Span>) {
        self.confirming = Some(Confirming { listed: listed.into_iter(), namespaces, gone: None });
    }

    /// Whether some of the last dump is still to be compared. No event may come before that is done.
    pub fn is_confirming(&self) -> bool {
        self.confirming.is_some()
    }

    /// Compares some more of the dump with what is remembered, and tells what became of that: which sockets are in
    /// TIME_WAIT by now, and which are gone.
    pub fn confirm_part(&mut self, mut emit: impl FnMut(&Transition)) {
        for _ in 0..PART {
            let Some(confirming) = &mut self.confirming else { return };
            let told = if let Some(listed) = confirming.listed.next() {
                self.timewait.listed(&listed)
            } else {
                let Confirming { namespaces, gone, .. } = confirming;
                let gone = gone.get_or_insert_with(|| self.timewait.snapshot_gaps(namespaces).into_iter());
                let Some(gone) = gone.next() else {
                    self.confirming = None;
                    return;
                };
                self.timewait.end(&gone)
            };
            self.infer(told, &mut emit);
        }
    }
}
