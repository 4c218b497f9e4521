//! The current half-open connections: found by cookie or by their ends, counted by local end, bounded.

use hashlink::LinkedHashMap;

use crate::model::{
    flow::{Flow, LocalEnd},
    half_open::Connection,
    hash::HashMap,
};

/// A half-open connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) connection: Connection,
    /// When its SYN came, where that was seen.
    pub(super) since_ns: Option<u64>,
    pub(super) retransmits: u32,
    /// When a record or a poll first showed it.
    pub(super) found_ns: u64,
    /// When it was last known to exist.
    pub(super) seen_ns: u64,
    /// When its timer fires next.
    pub(super) fires_ns: u64,
}

impl Open {
    /// Notes the namespace, where it was not known so far.
    pub(super) fn note_netns(&mut self, netns: Option<u32>) {
        let flow = &mut self.connection.flow;
        flow.netns = flow.netns.or(netns);
    }
}

/// All half-open connections.
pub(super) struct Table {
    open: LinkedHashMap<u64, Open>,
    /// Keys by ends without the namespace, which not every source knows.
    by_flow: HashMap<Flow, u64>,
    by_local: HashMap<LocalEnd, u64>,
    limit: usize,
    /// The last key of a connection without a cookie.
    substitutes: u64,
}

impl Table {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            open: LinkedHashMap::new(),
            by_flow: HashMap::default(),
            by_local: HashMap::default(),
            limit: limit.max(1),
            substitutes: SUBSTITUTE,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// The key of the connection that `other` is: it has the same cookie, or the same ends where one of both has no cookie.
    pub(super) fn find(&self, other: &Connection) -> Option<u64> {
        if other.cookie != 0 && self.open.contains_key(&other.cookie) {
            return Some(other.cookie);
        }
        let key = *self.by_flow.get(&other.flow.anywhere())?;
        (other.cookie == 0 || is_substitute(key)).then_some(key)
    }

    pub(super) fn get(&self, key: u64) -> Option<&Open> {
        self.open.get(&key)
    }

    /// Changes a connection. Its namespace may become known.
    pub(super) fn update(&mut self, key: u64, change: impl FnOnce(&mut Open)) {
        let Some(open) = self.open.get_mut(&key) else { return };
        let before = open.connection.flow.local_end();
        change(open);
        let after = open.connection.flow.local_end();
        if after != before {
            self.leave(before);
            *self.by_local.entry(after).or_default() += 1;
        }
    }

    /// Adds a connection that [`Self::find`] does not find. Returns its key, and the number of connections evicted for it.
    pub(super) fn insert(&mut self, open: Open) -> (u64, u64) {
        let evicted = if self.open.len() < self.limit {
            0
        } else {
            let oldest = self.open.front().map(|(key, _)| *key);
            u64::from(oldest.and_then(|key| self.remove(key)).is_some())
        };
        let connection = &open.connection;
        let key = match connection.cookie {
            0 => self.substitute(),
            cookie => cookie,
        };
        self.by_flow.insert(connection.flow.anywhere(), key);
        *self.by_local.entry(connection.flow.local_end()).or_default() += 1;
        self.open.insert(key, open);
        (key, evicted)
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<Open> {
        let open = self.open.remove(&key)?;
        let flow = open.connection.flow.anywhere();
        if self.by_flow.get(&flow) == Some(&key) {
            self.by_flow.remove(&flow);
        }
        self.leave(open.connection.flow.local_end());
        Some(open)
    }

    /// The number of connections with this local end.
    pub(super) fn count(&self, connection: &Connection) -> u64 {
        self.by_local.get(&connection.flow.local_end()).copied().unwrap_or(0)
    }

    /// The keys of the connections for which `wanted` is true.
    pub(super) fn keys(&self, wanted: impl Fn(&Open) -> bool) -> Vec<u64> {
        self.open.iter().filter(|(_, open)| wanted(open)).map(|(key, _)| *key).collect()
    }

    fn leave(&mut self, local: LocalEnd) {
        if let Some(count) = self.by_local.get_mut(&local) {
            *count -= 1;
            if *count == 0 {
                self.by_local.remove(&local);
            }
        }
    }

    /// Makes a key for a connection without a cookie.
    fn substitute(&mut self) -> u64 {
        self.substitutes = self.substitutes.wrapping_add(1) | SUBSTITUTE;
        self.substitutes
    }
}

/// The bit that marks keys of connections without a cookie. The kernel numbers cookies from 1 on, and they do not get so
/// large.
const SUBSTITUTE: u64 = 1 << 63;

fn is_substitute(key: u64) -> bool {
    key & SUBSTITUTE != 0
}
