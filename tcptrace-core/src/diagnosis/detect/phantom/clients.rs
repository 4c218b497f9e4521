//! Whether a client comes back again and again, one connection at a time.
//!
//! A client that is cut off and comes back begins a connection after its last one has fallen silent, and never sends on an
//! older one again. A pool, a proxy or a NAT has several connections in use, or has had several from the start.

use std::{collections::BTreeMap, net::IpAddr};

use super::Listener;
use crate::{
    diagnosis::detect::bounded::Bounded,
    model::hash::{HashMap, HashSet},
};

/// The precision of the kernel's times, which is a tick of its clock. Beyond that, a scan takes a while, and the moment at
/// which it read a socket is unknown.
const TICK_NS: u64 = 100_000_000;

/// A client of a listener.
type Key = (Listener, IpAddr);

#[derive(Default)]
pub(super) struct Clients {
    known: Bounded<Key, Client>,
    /// The duration of the last scan.
    took_ns: Option<u64>,
    /// Listeners whose idle connections end by themselves, as with a program that has a timeout.
    ending: HashSet<Listener>,
}

#[derive(Default)]
struct Client {
    /// The time of the last input on each connection, by cookie.
    heard_ns: HashMap<u64, u64>,
    /// The connection that began last.
    latest: u64,
    /// How often the client began another connection after the last one had fallen silent.
    returns: u64,
    /// Whether the client had several connections in use.
    is_parallel: bool,
}

impl Clients {
    /// Takes the connections of all clients: cookies, and the time of the last input on each. The scan ended at `ktime_ns`,
    /// and took `took_ns`.
    pub(super) fn scan(
        &mut self,
        (ktime_ns, took_ns): (u64, u64),
        idle_ns: u64,
        clients: impl Iterator<Item = (Key, BTreeMap<u64, u64>)>,
    ) {
        let clients: BTreeMap<Key, BTreeMap<u64, u64>> = clients.collect();
        let is_first = self.took_ns.is_none();
        let tolerance_ns = TICK_NS.saturating_add(took_ns.max(self.took_ns.unwrap_or(0)));
        let none = BTreeMap::new();
        for (key, client) in self.known.iter_mut() {
            let now = clients.get(key).unwrap_or(&none);
            let is_idle = |heard_ns: u64| ktime_ns.saturating_sub(heard_ns) >= idle_ns / 2;
            let mut gone = client.heard_ns.iter().filter(|(cookie, _)| !now.contains_key(cookie));
            if gone.any(|(_, heard_ns)| is_idle(*heard_ns)) {
                self.ending.insert(key.0);
            }
            client.heard_ns.retain(|cookie, _| now.contains_key(cookie));
        }
        self.known.drop_idle(|_, client| !client.heard_ns.is_empty());
        for (key, now) in clients {
            if let Some(client) = self.known.entry(key) {
                client.take(now, is_first, tolerance_ns);
            }
        }
        self.took_ns = Some(took_ns);
    }

    /// Whether this client has come back at least `returns` times, and never had several connections in use, while the idle
    /// connections at the listener stay.
    pub(super) fn comes_back(&self, key: &Key, returns: u64) -> bool {
        let client = self.known.get(key).filter(|_| !self.ending.contains(&key.0));
        client.is_some_and(|client| !client.is_parallel && client.returns >= returns)
    }

    /// Whether this is the connection on which the client came back.
    pub(super) fn is_latest(&self, key: &Key, cookie: u64) -> bool {
        self.known.get(key).is_some_and(|client| client.latest == cookie)
    }

    pub(super) fn left_out(&self) -> u64 {
        self.known.left_out()
    }
}

impl Client {
    fn take(&mut self, now: BTreeMap<u64, u64>, is_first: bool, tolerance_ns: u64) {
        let spoke = |cookie: &u64, heard_ns: u64| {
            self.heard_ns.get(cookie).is_some_and(|before| before.saturating_add(tolerance_ns) < heard_ns)
        };
        let preexisting = now.iter().any(|(cookie, heard)| *cookie != self.latest && spoke(cookie, *heard));
        let latest = now.get(&self.latest).is_some_and(|heard| spoke(&self.latest, *heard));
        let mut new = now.keys().filter(|cookie| !self.heard_ns.contains_key(cookie));
        let begun = (new.next().copied(), new.count());
        self.is_parallel |= preexisting || begun.1 > 0;
        if let (Some(cookie), 0) = begun {
            // Where the last connection was in use meanwhile, the order of the two is unknown.
            self.returns += u64::from(!is_first && !latest && self.heard_ns.contains_key(&self.latest));
            self.latest = cookie;
        }
        self.heard_ns = now.into_iter().collect();
    }
}
