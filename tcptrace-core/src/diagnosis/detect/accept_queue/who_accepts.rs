//! Finds the process that accepts from a listener, among all that have it open. Some only hold it, such as the parent of the
//! workers, or the manager that opened it.

use std::cmp::Reverse;

use super::super::{Sample, bounded::Bounded};
use crate::model::{
    hash::{HashMap, HashSet},
    owner::Provenance,
    process::Condition,
    socket::Kind,
    state::State,
    transition::Transition,
    who::Who,
};

/// A namespace, a port in it, and a process.
type AtPort = (Option<u32>, u16, u32);

/// The processes that are known to accept.
#[derive(Default)]
pub(super) struct Acceptors {
    /// Ports on which something listened at the last scan.
    ports: HashSet<(Option<u32>, u16)>,
    /// How often a process was the first to act on a connection to a port: that process has accepted the connection.
    acts: Bounded<AtPort, u64>,
    /// Connections to a port that a process had open at the last scan.
    held: HashMap<AtPort, u64>,
    /// Processes whose acts or open connections at a port are more than at the scan before: they have accepted meanwhile.
    grown: HashSet<AtPort>,
    /// The acts at the last scan.
    acts_before: HashMap<AtPort, u64>,
    conditions: HashMap<u32, Condition>,
    /// Whether there was a scan to compare with.
    scanned: bool,
}

/// The reason why a process does not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocker {
    /// A signal or a debugger has stopped it.
    Stopped,
    /// All of its descriptors are open, so `accept()` fails: open descriptors, and their limit.
    Descriptors(u64, u64),
}

impl Acceptors {
    pub(super) fn transition(&mut self, transition: &Transition) {
        let event = &transition.event;
        let acts = event.context_owns && [State::ESTABLISHED, State::CLOSE_WAIT].contains(&event.old_state);
        let owner = transition.owner.as_ref().filter(|owner| owner.provenance == Provenance::Exact);
        let Some(owner) = owner.filter(|_| acts && self.ports.contains(&event.flow.local_port())) else {
            return;
        };
        if let Some(count) = self.acts.entry((event.flow.netns, event.flow.local.port, owner.pid)) {
            *count += 1;
        }
    }

    pub(super) fn sample(&mut self, sample: &Sample) {
        let full = || sample.sockets.iter().filter(|seen| seen.socket.kind == Kind::Full);
        let listening = full().filter(|seen| seen.socket.state == State::LISTEN);
        self.ports = listening.map(|seen| seen.socket.flow.local_port()).collect();
        let mut held: HashMap<AtPort, u64> = HashMap::default();
        for seen in full().filter(|seen| seen.socket.state != State::LISTEN && seen.socket.inode.is_some()) {
            let (netns, port) = seen.socket.flow.local_port();
            if self.ports.contains(&(netns, port)) {
                for owner in seen.owners.iter() {
                    *held.entry((netns, port, owner.pid)).or_default() += 1;
                }
            }
        }
        let more_held = held.iter().filter(|(key, count)| self.held.get(*key).is_none_or(|old| old < *count));
        let more_acts =
            self.acts.iter().filter(|(key, count)| self.acts_before.get(*key).is_none_or(|old| old < *count));
        let grown = more_held.chain(more_acts).map(|(key, _)| *key).collect();
        self.grown = if self.scanned { grown } else { HashSet::default() };
        self.scanned = true;
        self.acts_before = self.acts.iter().map(|(key, count)| (*key, *count)).collect();
        self.held = held;
        self.conditions = sample.processes.iter().map(|(pid, condition)| (*pid, *condition)).collect();
        self.acts.make_room(|(netns, port, _), _| self.ports.contains(&(*netns, *port)));
    }

    /// Whether one of these processes has accepted a connection to this port between the last two scans.
    pub(super) fn have_accepted(&self, netns: Option<u32>, port: u16, owners: &[Who]) -> bool {
        owners.iter().any(|who| self.grown.contains(&(netns, port, who.pid)))
    }

    /// The processes that have a listener open, first the one that should accept. `is_shared`: they also have other
    /// listeners at the same end open, so a connection that they accept need not be this listener's. Then a process that is
    /// not known to accept comes first.
    pub(super) fn in_order(
        &self,
        netns: Option<u32>,
        port: u16,
        owners: &[Who],
        is_shared: bool,
    ) -> Vec<Who> {
        let rank = |who: &Who| {
            let key = (netns, port, who.pid);
            let acts = self.acts.get(&key).copied().unwrap_or(0);
            let held = self.held.get(&key).copied().unwrap_or(0);
            let place = match (self.blocker(who.pid), is_shared) {
                (_, false) if acts > 0 => 0,
                (Some(Blocker::Stopped), _) => 1,
                (Some(Blocker::Descriptors(..)), _) => 2,
                (None, false) => 3,
                (None, true) => 3 + u8::from(acts > 0),
            };
            (place, Reverse(acts), Reverse(held), who.pid)
        };
        let mut owners = owners.to_vec();
        owners.sort_by_key(rank);
        owners
    }

    pub(super) fn blocker(&self, pid: u32) -> Option<Blocker> {
        let condition = self.conditions.get(&pid)?;
        if condition.stopped == Some(true) {
            return Some(Blocker::Stopped);
        }
        condition.is_out_of_descriptors().filter(|is_out| *is_out)?;
        Some(Blocker::Descriptors(condition.descriptors?, condition.descriptor_limit?))
    }

    pub(super) fn left_out(&self) -> u64 {
        self.acts.left_out()
    }
}
