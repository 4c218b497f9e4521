//! The destinations that each process tries.

use super::outcomes::Outcomes;
use crate::{
    diagnosis::detect::scoped::ScopedEndpoint,
    model::{hash::HashMap, who::Who},
};

/// The capacity for pairs of a process and a destination.
const PAIRS: usize = 262_144;

/// A process, and the outcomes of its attempts by destination.
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

    /// The outcomes at all destinations.
    pub(super) fn total(&self) -> Outcomes {
        let mut total = Outcomes::default();
        self.destinations.values().for_each(|outcomes| total.add(outcomes));
        total
    }

    /// Destinations to which the process got no connection.
    pub(super) fn never_connected(&self) -> u64 {
        self.destinations.values().filter(|outcomes| outcomes.connected == 0).count() as u64
    }
}

/// Processes by their ids. The number of pairs is limited. At the limit, processes with few destinations are forgotten.
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
    /// Records the outcome of an attempt of a process.
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

    /// Where the table is full, forgets processes with fewer destinations than `many`. It goes through all processes: call
    /// it once per scan.
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

    /// Pairs that were forgotten or not recorded.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::flow::Endpoint;

    /// A process that tries many destinations is kept, however many other processes try one each.
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
