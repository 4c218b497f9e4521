//! Compares the remembered sockets with a dump of the kernel's, corrects what the trace has missed, and counts it.

use super::{Tracker, preexisting::PreexistingSockets};
use crate::model::{
    hash::{HashMap, HashSet},
    owner::{Owner, Provenance},
    socket_dump::{Preexisting, Since},
    summary::Reconciled,
};

/// A namespace in a dump.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Its inode; `None` when not known.
    pub netns: Option<u32>,
    /// When its dump began, nanoseconds of `CLOCK_MONOTONIC`.
    pub begin_ns: u64,
    /// When its dump ended. The dump has all sockets that lived from its beginning to its end.
    pub end_ns: u64,
}

impl Tracker {
    /// Notes that a dump is being made, for [`Self::reconcile`].
    pub fn expect_dump(&mut self) {
        self.closed = Some(HashSet::default());
    }

    /// Notes whether the next dump has every holder of its sockets, and when the holders were read. If it has every holder,
    /// a process that is not among the holders of a socket, and has not acted since, no longer has the socket.
    pub fn expect_holders(&mut self, all: bool, read_ns: Option<u64>) {
        (self.has_all_holders, self.holders_ns) = (all, read_ns);
    }

    /// Compares with a dump of all full sockets in `namespaces`. Every event up to its end must have been tracked.
    /// `is_first`: there was no dump before, so its sockets may be pre-existing.
    pub fn reconcile(&mut self, listed: Vec<Preexisting>, namespaces: &[Span], is_first: bool) {
        let closed = self.closed.take().unwrap_or_default();
        self.lacks_holders = false;
        let begins = namespaces.iter().map(|span| span.begin_ns).min();
        self.sought_ns = self.holders_ns.or(begins).unwrap_or(0).max(self.sought_ns);
        let mut tracked: HashMap<u64, u64> = self
            .sockets
            .iter()
            .filter(|(_, socket)| socket.cookie != 0)
            .map(|(skaddr, socket)| (socket.cookie, *skaddr))
            .collect();
        let mut unknown = Vec::new();
        for preexisting in listed {
            self.listeners.list(&preexisting, self.holders_ns);
            match tracked.remove(&preexisting.cookie) {
                Some(skaddr) => self.compare(skaddr, preexisting),
                None if closed.contains(&preexisting.cookie) => {}
                None => unknown.push(preexisting),
            }
        }
        self.listeners.forget_undumped(namespaces);
        self.forget_vanished(tracked.into_values(), namespaces);
        // With filters, the dump may have sockets whose events are hidden. A closed socket without a cookie may be any of
        // the unknown ones.
        if !is_first && !self.options.hidden.any && !closed.contains(&0) {
            let appeared =
                unknown.iter().filter(|preexisting| !self.preexisting.contains(preexisting.cookie)).count();
            // Each open socket without a cookie may be one of them, too.
            let nameless = self.sockets.values().filter(|socket| socket.cookie == 0).count();
            self.reconciled.appeared += appeared.saturating_sub(nameless) as u64;
        }
        self.preexisting = PreexistingSockets::new(unknown, self.options.cookies, &mut self.owners);
    }

    /// The counts of what dumps have corrected.
    pub fn reconciled(&self) -> Reconciled {
        self.reconciled
    }

    /// Compares a remembered socket with the dump.
    fn compare(&mut self, skaddr: u64, preexisting: Preexisting) {
        let Some(socket) = self.sockets.get_mut(&skaddr) else { return };
        let is_newer = socket.since.is_some_and(|since| since.ns() >= preexisting.dumped_ns);
        // Holders and sockets were read at the same time, and both after the socket's last event.
        let is_held_since = self.holders_ns.is_some_and(|read_ns| {
            read_ns <= preexisting.dumped_ns && socket.since.is_some_and(|since| since.ns() < read_ns)
        });
        if let Some(owner) = preexisting.owner
            && (socket.owner.as_deref().is_none_or(is_in_dump)
                || (is_held_since
                    && self.has_all_holders
                    && !socket.owner.as_deref().is_some_and(|actor| actor.is_among(&owner))))
        {
            socket.owner = Some(self.owners.share(owner));
        }
        // With a filter on states, the kernel side does not even send transitions between hidden states.
        if is_newer || socket.state == preexisting.state || self.options.hidden.by_state {
            return;
        }
        (socket.state, socket.since) = (preexisting.state, Some(preexisting.since));
        self.reconciled.changed += 1;
    }

    /// Forgets remembered sockets that the dump lacks.
    fn forget_vanished(&mut self, tracked: impl Iterator<Item = u64>, namespaces: &[Span]) {
        for skaddr in tracked {
            let vanished = self.sockets.get(&skaddr).is_some_and(|socket| {
                let since = socket.since.map_or(0, Since::ns);
                namespaces.iter().any(|span| span.netns.unwrap_or(0) == socket.netns && since < span.begin_ns)
            });
            if vanished && let Some(socket) = self.sockets.remove(&skaddr) {
                self.filtered += u64::from(socket.waiting.is_some());
                self.reconciled.vanished += 1;
            }
        }
    }
}

/// Whether a dump knows the owner of a socket better. It does not where the owner has acted on the socket itself.
fn is_in_dump(owner: &Owner) -> bool {
    owner.provenance != Provenance::Exact
}
