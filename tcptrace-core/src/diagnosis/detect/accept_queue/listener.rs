//! A listener from scan to scan: its queue, and its drops.

use super::who_accepts::Acceptors;
use crate::model::{
    flow::{Endpoint, LocalEnd},
    who::Who,
};

/// The age up to which a scan counts as recent: scans of a short watch are less than a second apart.
const NOW_NS: u64 = 2_000_000_000;

/// A listener at one scan. Entries with the same cookie are merged: all owners, and the longest queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) end: LocalEnd,
    pub(super) owners: Vec<Who>,
    /// Connections that wait, and the backlog of `listen()`.
    pub(super) waiting: (u32, u32),
    /// `sk_drops`; `None` where it is unknown.
    pub(super) drops: Option<u32>,
}

/// A listening socket.
#[derive(Clone, Debug, Default)]
pub(super) struct Listener {
    pub(super) end: Option<LocalEnd>,
    pub(super) owners: Vec<Who>,
    pub(super) backlog: u32,
    /// Connections that wait at the last scan.
    pub(super) length: u32,
    /// The longest queue of all scans, and the number of scans that found the queue full.
    pub(super) longest: u32,
    pub(super) full: u64,
    pub(super) scans: u64,
    /// The last scan that found the listener, nanoseconds.
    pub(super) seen_ns: u64,
    /// The last scan that found more drops than before.
    dropped_ns: Option<u64>,
    drops: Option<Drops>,
    /// Every scan since this one found a connection in the queue.
    pub(super) nonempty_since_ns: Option<u64>,
    /// The same; and since this scan the queue has not become shorter, and no accept was noticed.
    pub(super) steady_since_ns: Option<u64>,
}

/// `sk_drops` before the watch, at the last scan but one, and at the last.
#[derive(Clone, Copy, Debug)]
struct Drops {
    before: u32,
    previous: u32,
    last: u32,
}

impl Listener {
    /// Records the state of the listener at a scan. `is_new`: the listener began during the watch.
    pub(super) fn note(&mut self, now_ns: u64, queue: Queue, is_new: bool, acceptors: &Acceptors) {
        let LocalEnd { netns, end: Endpoint { port, .. } } = queue.end;
        let (length, backlog) = queue.waiting;
        let has_accepted = length < self.length || acceptors.have_accepted(netns, port, &queue.owners);
        let keep = |since: Option<u64>| (length > 0).then(|| since.unwrap_or(now_ns));
        self.nonempty_since_ns = keep(self.nonempty_since_ns);
        self.steady_since_ns = keep(self.steady_since_ns.filter(|_| !has_accepted));
        let is_full = u64::from(length) >= queue_capacity(backlog);
        if self.note_drops(queue.drops, is_new) {
            self.dropped_ns = Some(now_ns);
        }
        self.full += u64::from(is_full);
        (self.end, self.owners) = (Some(queue.end), queue.owners);
        (self.backlog, self.length, self.longest) = (backlog, length, self.longest.max(length));
        self.scans += 1;
        self.seen_ns = now_ns;
    }

    /// Records `sk_drops`, and returns whether it has grown. The `sk_drops` of a new socket begins at zero.
    fn note_drops(&mut self, drops: Option<u32>, is_new: bool) -> bool {
        let Some(last) = drops else { return false };
        let first = if is_new { 0 } else { last };
        let old = self.drops.unwrap_or(Drops { before: first, previous: first, last: first });
        let is_another = last < old.last;
        let (before, previous) = if is_another { (0, 0) } else { (old.before, old.last) };
        self.drops = Some(Drops { before, previous, last });
        last > previous
    }

    /// Connections that the listener dropped during the watch; `None` where the number is unknown.
    pub(super) fn dropped(&self) -> Option<u64> {
        self.drops.map(|drops| drops.last.saturating_sub(drops.before).into())
    }

    /// The same until the scan before the last: less than the namespace had counted by the last scan.
    pub(super) fn dropped_before(&self) -> u64 {
        self.drops.map_or(0, |drops| drops.previous.saturating_sub(drops.before).into())
    }

    /// Whether the last scan found the queue full.
    pub(super) fn is_full(&self, now_ns: u64) -> bool {
        self.seen_ns == now_ns && u64::from(self.length) >= queue_capacity(self.backlog)
    }

    /// Whether recent scans found more drops than before.
    pub(super) fn drops_now(&self, now_ns: u64) -> bool {
        is_recent(self.dropped_ns, now_ns)
    }

    /// Whether there may be a finding about the listener after it is gone.
    pub(super) fn is_worth_keeping(&self) -> bool {
        self.full > 0 || self.dropped().is_some_and(|dropped| dropped > 0)
    }
}

/// Whether a scan is recent.
pub(super) fn is_recent(scan_ns: Option<u64>, now_ns: u64) -> bool {
    scan_ns.is_some_and(|scan_ns| now_ns.saturating_sub(scan_ns) <= NOW_NS)
}

/// The number of connections that a queue takes: with a backlog of zero it still takes one.
pub(super) fn queue_capacity(backlog: u32) -> u64 {
    u64::from(backlog) + 1
}
