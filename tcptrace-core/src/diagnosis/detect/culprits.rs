//! The processes and peers that have a part in a fault, counted while sockets pass.

use std::net::IpAddr;

use super::{Seen, rank::Rank};
use crate::model::{
    finding::{Finding, Peer},
    flow::Flow,
    hash::HashMap,
    socket::Socket,
    state::State,
    who::Who,
};

/// The limit of names in a finding.
const NAMED: usize = 5;

/// Owners, peers, and connections as examples.
#[derive(Clone, Default)]
pub(super) struct Culprits {
    owners: Rank<u32>,
    known: HashMap<u32, Who>,
    peers: Rank<(IpAddr, Option<u16>)>,
    samples: Vec<String>,
    place: Place,
}

/// The network namespaces of a fault.
#[derive(Clone, Copy, Default)]
enum Place {
    #[default]
    Nowhere,
    In(u32),
    /// Several namespaces, or unknown ones.
    Many,
}

impl Place {
    fn netns(self) -> Option<u32> {
        match self {
            Self::In(netns) => Some(netns),
            Self::Nowhere | Self::Many => None,
        }
    }
}

impl Culprits {
    /// Adds a network namespace of the fault.
    pub(super) fn within(&mut self, netns: Option<u32>) {
        self.place = match (self.place, netns) {
            (Place::Nowhere, Some(netns)) => Place::In(netns),
            (Place::In(known), Some(netns)) if known == netns => self.place,
            _ => Place::Many,
        };
    }

    /// Adds the network namespaces of the other culprits.
    pub(super) fn within_those_of(&mut self, others: &Self) {
        match others.place {
            Place::Nowhere => {}
            Place::In(netns) => self.within(Some(netns)),
            Place::Many => self.within(None),
        }
    }

    /// Adds a socket with a part in the fault. `with_port`: the remote port counts as well, where this side chose the local
    /// port.
    pub(super) fn add(&mut self, seen: &Seen, with_port: bool) {
        let socket = &seen.socket;
        self.within(socket.flow.netns);
        self.peer(socket.flow.remote.address, with_port.then_some(socket.flow.remote.port));
        for owner in seen.owners.iter() {
            self.owner(owner);
        }
        if self.samples.len() < NAMED {
            self.samples.push(connection(socket));
        }
    }

    pub(super) fn owner(&mut self, owner: &Who) {
        if !self.owners.add(owner.pid) {
            return;
        }
        let known = self.known.entry(owner.pid).or_insert_with(|| owner.clone());
        // The kernel reuses the ids of processes that have ended.
        if owner.started().is_some() && owner.started() != known.started() {
            known.clone_from(owner);
        }
    }

    pub(super) fn peer(&mut self, address: IpAddr, port: Option<u16>) {
        self.peers.add((address, port));
    }

    pub(super) fn peer_count(&self) -> u64 {
        self.peers.distinct()
    }

    /// Whether there may be more peers than are counted.
    pub(super) fn has_more_peers(&self) -> bool {
        self.peers.is_full()
    }

    /// Whether this process has a part in the fault.
    pub(super) fn has_owner(&self, pid: u32) -> bool {
        self.known.contains_key(&pid)
    }

    /// The process with the greatest part.
    pub(super) fn first_owner(&self) -> Option<&Who> {
        self.known.get(&self.owners.top(1).first()?.0)
    }

    /// The address with the greatest part.
    pub(super) fn first_peer(&self) -> Option<IpAddr> {
        Some(self.peers.top(1).first()?.0.0)
    }

    /// A copy without these processes.
    pub(super) fn without(&self, is_out: impl Fn(u32) -> bool) -> Self {
        let mut left = self.clone();
        left.owners.retain(|pid| !is_out(*pid));
        left.known.retain(|pid, _| !is_out(*pid));
        left
    }

    /// Connections as examples.
    pub(super) fn samples(&self) -> &[String] {
        &self.samples
    }

    /// Names the culprits in a finding.
    pub(super) fn name(&self, finding: Finding) -> Finding {
        let owners = self.owners.top(NAMED).into_iter().filter_map(|(pid, _)| self.known.get(&pid).cloned());
        let peers = self.peers.top(NAMED).into_iter();
        Finding {
            netns: finding.netns.or(self.place.netns()),
            owners: owners.collect(),
            peers: peers.map(|((address, port), count)| Peer { address, port, count }).collect(),
            samples: self.samples.clone(),
            ..finding
        }
    }
}

/// Adds the owners that are missing, by their ids: several sockets may listen at one end.
pub(super) fn add_owners(all: &mut Vec<Who>, more: &[Who]) {
    for who in more {
        if let Err(place) = all.binary_search_by_key(&who.pid, |known| known.pid) {
            all.insert(place, who.clone());
        }
    }
}

/// `192.0.2.1:80 -> 198.51.100.7:40000`, with its state and age where the age is known.
pub(super) fn connection(socket: &Socket) -> String {
    let Flow { local, remote, .. } = socket.flow;
    match socket.age_at_least_ns {
        Some(ns) if socket.state != State::LISTEN => {
            format!("{local} -> {remote}, {} for at least {}", socket.state, seconds(ns))
        }
        _ => format!("{local} -> {remote}"),
    }
}

/// An address in the form that a filter of `ss` takes: `ss` would read the end of a bare IPv6 address as a port.
pub(super) fn ss_host(address: IpAddr) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}

/// The share of a number in `all`, from 0 to 1; 0 where `all` is 0.
#[expect(clippy::cast_precision_loss, reason = "what is compared with a threshold need not be exact")]
pub(super) fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

/// Seconds in nanoseconds, saturating.
pub(super) fn nanoseconds(seconds: u64) -> u64 {
    seconds.saturating_mul(1_000_000_000)
}

/// `42 s`.
pub(super) fn seconds(ns: u64) -> String {
    format!("{} s", ns / 1_000_000_000)
}

/// The age of the oldest of `count` things, at least: `the oldest for 42 s`.
pub(super) fn the_oldest(count: u64, ns: u64) -> String {
    format!("{}for {}", if count == 1 { "" } else { "the oldest " }, seconds(ns))
}

/// A number of things: `1 socket`, `2 sockets`.
pub(super) fn many(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::process::Process;

    fn who(pid: u32, comm: &str, start_ticks: u64) -> Who {
        let comm = comm.as_bytes().to_vec();
        let process = Process {
            pid,
            start_ticks,
            comm,
            exe: None,
            exe_deleted: false,
            uid: 0,
            unit: None,
            container: None,
            netns: None,
        };
        Who::of_holder(pid, Some(&Arc::new(process)))
    }

    #[test]
    fn a_process_id_is_that_of_the_last_who_had_it() {
        let mut culprits = Culprits::default();
        for who in [who(7, "old", 1), who(7, "new", 2), Who { pid: 7, comm: b"new".to_vec(), process: None }]
        {
            culprits.owner(&who);
        }
        assert_eq!(culprits.first_owner(), Some(&who(7, "new", 2)), "what is known of it is not forgotten");
    }

    #[test]
    fn who_is_not_counted_is_not_kept() {
        let mut culprits = Culprits::default();
        (0..65_540).for_each(|pid| culprits.owner(&Who { pid, comm: Vec::new(), process: None }));
        assert_eq!((culprits.owners.distinct(), culprits.known.len()), (65_536, 65_536));
    }
}
