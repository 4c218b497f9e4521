//! Whether a client comes back again and again, one connection at a time.
//!
//! Who is cut off and comes back begins a connection after the last one has fallen silent, and never speaks on an older one
//! again. A pool, a proxy or a NAT has several in use, or has had several from the start.

use std::{collections::BTreeMap, net::IpAddr};

use super::Listener;
use crate::{
    diagnosis::detect::bounded::Bounded,
    model::hash::{HashMap, HashSet},
};

/// Times of the kernel are no more exact than its clock's tick; beyond that, a scan takes a while, and nobody knows when in
/// it a socket was read.
const TICK_NS: u64 = 100_000_000;

/// A client of a listener.
type Key = (Listener, IpAddr);

#[derive(Default)]
pub(super) struct Clients {
    known: Bounded<Key, Client>,
    /// How long the last scan took.
    took_ns: Option<u64>,
    /// Listeners whose idle connections end by themselves, as they do where the program has a timeout.
    ending: HashSet<Listener>,
}

#[derive(Default)]
struct Client {
    /// Of each connection, when something was last heard on it.
    heard_ns: HashMap<u64, u64>,
    /// The one that began last.
    latest: u64,
    /// How often it began another one after the last had fallen silent.
    returns: u64,
    /// It had several in use.
    is_parallel: bool,
}

impl Clients {
    /// Takes the connections of all clients: cookies, and when something was last heard on each. The scan was complete at
    /// `ktime_ns`, and took `took_ns`.
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

    /// Whether this client has come back so often, and never had several in use, while its idle ones stay.
    pub(super) fn comes_back(&self, key: &Key, returns: u64) -> bool {
        let client = self.known.get(key).filter(|_| !self.ending.contains(&key.0));
        client.is_some_and(|client| !client.is_parallel && client.returns >= returns)
    }

    /// Whether this is the connection that it came back on.
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
            // Where the last one was in use meanwhile, nobody knows which of them came first.
            self.returns += u64::from(!is_first && !latest && self.heard_ns.contains_key(&self.latest));
            self.latest = cookie;
        }
        self.heard_ns = now.into_iter().collect();
    }
}
