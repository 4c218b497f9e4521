//! Processes that are known to have ended. Another process has their sockets now, or none has.

use hashlink::LinkedHashMap;

use crate::model::{
    input::{Exit, Key},
    owner::Owner,
};

/// The most processes to remember. Beyond that, the one that was added first is forgotten.
const REMEMBERED: usize = 16_384;

/// The key of an owner's process.
pub(super) fn key(owner: &Owner) -> Key {
    (owner.pid, owner.process.as_ref().map(|process| process.start_ticks))
}

/// Processes that are known to have ended, each with the earliest time by which it is known to have ended.
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

    /// Notes that a process acts, so it has not ended. Where only its id is known, the process that had ended was another
    /// one.
    pub(super) fn acts(&mut self, owner: &Owner, ktime_ns: u64) {
        if self.have(owner, ktime_ns) {
            self.0.remove(&key(owner));
        }
    }

    /// Whether an owner had certainly ended at this time.
    pub(super) fn have(&self, owner: &Owner, ktime_ns: u64) -> bool {
        !self.0.is_empty() && self.0.get(&key(owner)).is_some_and(|by_ns| *by_ns <= ktime_ns)
    }

    /// The time by which an owner is known to have ended.
    pub(super) fn by_ns(&self, owner: &Owner) -> Option<u64> {
        self.0.get(&key(owner)).copied()
    }

    /// Whether a process is known to have ended, whenever that was.
    pub(super) fn know(&self, process: &Key) -> bool {
        self.0.contains_key(process)
    }

    /// Those of `processes` that are not known to have ended, each once.
    pub(super) fn others(&self, mut processes: Vec<Key>) -> Vec<Key> {
        processes.retain(|process| !self.know(process));
        processes.sort_unstable();
        processes.dedup();
        processes
    }
}
