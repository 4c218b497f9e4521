//! Compares timewait sockets with a dump of the kernel's, a part at a time: there may be more than a hundred thousand.

use std::vec;

use super::{Span, Tracker, timewait::Gone};
use crate::model::{socket_dump::PreexistingTimewait, transition::Transition};

/// The sockets of a part: no more than fill about a chunk with lines.
const PART: usize = 512;

/// A comparison that has begun.
pub(super) struct Confirming {
    listed: vec::IntoIter<PreexistingTimewait>,
    namespaces: Vec<Span>,
    /// The sockets that the dump lacks, once all sockets of the dump have been compared.
    gone: Option<vec::IntoIter<Gone>>,
}

impl Tracker {
    /// Whether the tracker needs a dump of timewait sockets; see [`Self::confirm`].
    pub fn wants_dump(&self) -> bool {
        self.timewait.waits_for_fin()
    }

    /// Takes a dump of all timewait sockets in `namespaces`, for [`Self::confirm_part`]. Every event up to its end must have
    /// been tracked.
    pub fn confirm(&mut self, listed: Vec<PreexistingTimewait>, namespaces: Vec<Span>) {
        self.confirming = Some(Confirming { listed: listed.into_iter(), namespaces, gone: None });
    }

    /// Whether a part of the last dump is still to be compared. No event may come before that is done.
    pub fn is_confirming(&self) -> bool {
        self.confirming.is_some()
    }

    /// Compares the next part of the dump with the remembered sockets. Emits their transitions: of sockets that are in
    /// TIME_WAIT by now, and of those that are gone.
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
