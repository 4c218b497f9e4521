//! The destinations that each process tries.

use super::outcomes::Outcomes;
use crate::{
    diagnosis::detect::scoped::ScopedEndpoint,
    model::{hash::HashMap, who::Who},
};

/// Pairs of a process and a destination that are told apart.
const PAIRS: usize = 262_144;

/// A process, and how its attempts ended, by destination.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) who: Who,
    pub(super) destinations: HashMap<ScopedEndpoint, Outcomes>,
    /// Attempts whose SYN was sent again, at the last scan.
    pub(super) waiting: u64,
}

impl Process {
    pub(super) fn new(who: Who) -> Self {
        Self { who, destinations: HashMap::default(), waiting: 0 }
    }

    /// At all destinations.
    pub(super) fn total(&self) -> Outcomes {
        let mut total = Outcomes::default();
        self.destinations.values().for_each(|outcomes| total.add(outcomes));
        total
    }

    /// Destinations that it got no connection to.
    pub(super) fn never_connected(&self) -> u64 {
        self.destinations.values().filter(|outcomes| outcomes.connected == 0).count() as u64
    }
}

/// By their ids. There is room for so many pairs; when it is needed, those with few destinations are forgotten.
pub(super) struct Processes {
    by_pid: HashMap<u32, Process>,
    pairs: usize,
    room: usize,
    left_out: u64,
}

impl Default for Processes {
    fn default() -> Self {
        Self { by_pid: HashMap::default(), pairs: 0, room: PAIRS, left_out: 0 }
    }
}

impl Processes {
    /// Notes what a process has tried.
    pub(super) fn note(&mut self, who: Who, destination: ScopedEndpoint, outcomes: &Outcomes) {
        let known =
            self.by_pid.get(&who.pid).is_some_and(|known| known.destinations.contains_key(&destination));
        if !known && self.pairs >= self.room {
            self.left_out += 1;
            return;
        }
        self.pairs += usize::from(!known);
        let process = self.by_pid.entry(who.pid).or_insert_with(|| Process::new(who));
        process.destinations.entry(destination).or_default().add(outcomes);
    }

    /// Where it is full, forgets processes with fewer destinations than `many`. It goes through all of them: once a scan.
    pub(super) fn make_room(&mut self, many: usize) {
        if self.pairs < self.room {
            return;
        }
        self.by_pid.retain(|_, process| process.destinations.len() >= many);
        let left = self.by_pid.values().map(|process| process.destinations.len()).sum();
        self.left_out += (self.pairs - left) as u64;
        self.pairs = left;
    }

    pub(super) fn all(&self) -> &HashMap<u32, Process> {
        &self.by_pid
    }

    /// Pairs that were forgotten or not noted.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::flow::Endpoint;

    /// A process that tries many is remembered, whatever number of others tries one each.
    #[test]
    fn who_tries_few_makes_room() {
        let mut processes = Processes { room: 8, ..Processes::default() };
        let one = Outcomes::default();
        let note = |processes: &mut Processes, pid: u32, port: u16| {
            let who = Who { pid, comm: Vec::new(), process: None };
            processes.note(who, ScopedEndpoint::new(None, Endpoint::new([192, 0, 2, 1].into(), port)), &one);
            processes.pairs
        };
        for (pid, port) in [(1, 1), (1, 2), (1, 3), (1, 4), (10, 1), (11, 1), (12, 1), (13, 1)] {
            note(&mut processes, pid, port);
        }
        assert_eq!(note(&mut processes, 14, 1), 8, "there is no room");
        assert_eq!(note(&mut processes, 1, 4), 8, "a pair that is known takes none");
        assert_eq!(processes.left_out(), 1);
        processes.make_room(4);
        assert_eq!(note(&mut processes, 14, 1), 5);
        assert_eq!(processes.all()[&1].destinations.len(), 4);
        assert_eq!(processes.left_out(), 5, "four were forgotten");
        processes.make_room(4);
        assert_eq!(processes.left_out(), 5, "there is room");
    }
}
