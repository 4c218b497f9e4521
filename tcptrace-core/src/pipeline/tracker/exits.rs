//! Processes that are known to have ended: what they had open is somebody else's, or nobody's.

use hashlink::LinkedHashMap;

use crate::model::{
    input::{Exit, Key},
    owner::Owner,
};

/// How many are remembered; more, and the first one is forgotten.
const REMEMBERED: usize = 16_384;

/// Which process an owner is.
pub(super) fn key(owner: &Owner) -> Key {
    (owner.pid, owner.process.as_ref().map(|process| process.start_ticks))
}

/// Those that are known, with the earliest time by which each is known to have ended.
#[derive(Default)]
pub(super) struct Exits(LinkedHashMap<Key, u64>);

impl Exits {
    pub(super) fn add(&mut self, exit: Exit) {
        let by_ns = self.0.entry(exit.process).or_insert(exit.by_ns);
        *by_ns = exit.by_ns.min(*by_ns);
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
    }

    /// A process acts: it has not ended. Where only its id is known, whichever had ended before was another one.
    pub(super) fn acts(&mut self, owner: &Owner, ktime_ns: u64) {
        if self.have(owner, ktime_ns) {
            self.0.remove(&key(owner));
        }
    }

    /// Whether it had certainly ended at this time.
    pub(super) fn have(&self, owner: &Owner, ktime_ns: u64) -> bool {
        !self.0.is_empty() && self.0.get(&key(owner)).is_some_and(|by_ns| *by_ns <= ktime_ns)
    }

    /// When it had ended at the latest.
    pub(super) fn by_ns(&self, owner: &Owner) -> Option<u64> {
        self.0.get(&key(owner)).copied()
    }

    /// Whether it is known that it has ended, whenever that was.
    pub(super) fn know(&self, process: &Key) -> bool {
        self.0.contains_key(process)
    }

    /// Each of these once, of which it is not known that it has ended at all.
    pub(super) fn others(&self, mut processes: Vec<Key>) -> Vec<Key> {
        processes.retain(|process| !self.know(process));
        processes.sort_unstable();
        processes.dedup();
        processes
    }
}
