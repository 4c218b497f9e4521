//! What lies between the ring and the writer.

use super::{
    half_open::Side,
    identities::Identities,
    listing::{Listing, Scope},
    outgoing::Outgoing,
};
use crate::{
    decode::{decode, is_half_open, is_signal, records},
    event::Observed,
    snapshot::Namespace,
    tracker::{List, Tracker},
};

/// Apart from the reader, so that the ring can be borrowed beside it.
pub(super) struct Stage {
    pub(super) tracker: Tracker,
    pub(super) identities: Option<Identities>,
    pub(super) half_open: Option<Side>,
    pub(super) out: Outgoing,
}

impl Stage {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let Self { tracker, identities, half_open, out } = self;
        if let Some(side) = half_open.as_mut().filter(|_| is_half_open(bytes)) {
            return side.take(bytes, tracker, out);
        }
        match decode(bytes) {
            Ok(Observed::Transition(mut event)) => {
                out.account.read += 1;
                if let Some(identities) = identities {
                    identities.look(&mut event);
                }
                if let Some(side) = half_open {
                    side.transition(&event, tracker, out);
                }
                tracker.track(event, |transition| out.push(transition));
            }
            Ok(Observed::Signal(signal)) => {
                out.account.others += 1;
                tracker.in_turn(&signal);
            }
            Err(_) => {
                out.account.read += 1;
                out.account.undecodable += 1;
            }
        }
    }

    /// Takes the signals of a ring entry at once: those that tell of a connection's end come after its last transition.
    pub(super) fn take_signals(&mut self, entry: &[u8]) {
        for record in records(entry).filter(|record| is_signal(record)) {
            if let Ok(Observed::Signal(signal)) = decode(record) {
                self.tracker.ahead(signal);
            }
        }
    }

    /// Takes in what is older than the trace.
    pub(super) fn list(&mut self, listing: Listing) {
        self.tracker.list(listing.older, listing.small);
    }

    pub(super) fn confirm(&mut self, listing: Listing, is_first: bool) {
        // One that lacks something proves nothing.
        if !listing.is_complete() {
            return;
        }
        let Self { tracker, out, .. } = self;
        for namespace in &listing.namespaces {
            let Namespace { inode: netns, begin_ns, end_ns } = *namespace;
            let sockets = &listing.small;
            tracker.confirm(&List { netns, begin_ns, end_ns, sockets }, |transition| out.push(transition));
        }
        if listing.scope == Scope::All {
            let spans: Vec<_> =
                listing.namespaces.iter().map(|namespace| (namespace.inode, namespace.begin_ns)).collect();
            tracker.reconcile(listing.older, &spans, is_first);
        }
    }

    pub(super) fn tick(&mut self, now_ns: u64) {
        let Self { tracker, out, .. } = self;
        tracker.tick(now_ns, |transition| out.push(transition));
    }

    pub(super) fn finish(&mut self) {
        let Self { tracker, out, .. } = self;
        tracker.finish(|transition| out.push(transition));
    }

    /// Every event up to this time was taken.
    pub(super) fn caught_up(&mut self, until_ns: u64) {
        let Self { tracker, half_open, out, .. } = self;
        if let Some(side) = half_open {
            side.caught_up(until_ns, tracker, out);
        }
    }
}
