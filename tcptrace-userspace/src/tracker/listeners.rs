//! Who listens where, so that a child socket can name its listener's owner.

use std::{net::IpAddr, sync::Arc};

use hashlink::LinkedHashMap;

use super::older::Older;
use crate::{
    event::Event,
    listening,
    record::{Owner, Provenance},
    state::State,
};

/// Network namespace, local address, local port.
type Key = (Option<u32>, IpAddr, u16);

/// Which socket it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Identity {
    /// By its cookie.
    Cookie(u64),
    /// By its address, where the kernel has no cookie for it.
    Address(u64),
}

impl Identity {
    fn of(event: &Event) -> Self {
        if event.cookie == 0 { Self::Address(event.skaddr) } else { Self::Cookie(event.cookie) }
    }
}

/// Listening sockets seen to start, bounded like the table of connections.
pub(super) struct Listeners {
    /// With `SO_REUSEPORT` several sockets share a key: each with its owner, as children inherit it.
    by_address: LinkedHashMap<Key, Vec<(Identity, Arc<Owner>)>>,
    limit: usize,
}

impl Listeners {
    pub(super) fn new(limit: usize) -> Self {
        Self { by_address: LinkedHashMap::new(), limit }
    }

    /// Notes a listener that starts or ends.
    pub(super) fn observe(&mut self, event: &Event, owner: Option<&Owner>) {
        let key = (event.netns, event.laddr, event.lport);
        if event.new_state == State::LISTEN {
            if let Some(owner) = owner {
                self.add(key, Identity::of(event), owner.clone());
            }
        } else if event.old_state == State::LISTEN
            && event.new_state == State::CLOSE
            && let Some(sockets) = self.by_address.get_mut(&key)
        {
            sockets.retain(|(identity, _)| *identity != Identity::of(event));
            if sockets.is_empty() {
                self.by_address.remove(&key);
            }
        }
    }

    /// Notes a socket that is older than the trace, if it listens.
    pub(super) fn list(&mut self, older: &Older) {
        if let Some(owner) = older.owner.as_ref().filter(|_| older.state == State::LISTEN) {
            let key = (older.ends.netns, older.ends.laddr, older.ends.lport);
            self.add(key, Identity::Cookie(older.cookie), owner.clone());
        }
    }

    fn add(&mut self, key: Key, identity: Identity, owner: Owner) {
        if self.by_address.len() >= self.limit && !self.by_address.contains_key(&key) {
            self.by_address.pop_front();
        }
        let sockets = self.by_address.entry(key).or_insert_with(Vec::new);
        sockets.retain(|(other, _)| *other != identity);
        sockets.push((identity, Arc::new(Owner { provenance: Provenance::Inherited, ..owner })));
    }

    /// The owner of the listener that a connection to this address and port comes from: bound to its address, or to
    /// any. Nobody when several processes listen there, since which of them the kernel chose is not to be seen.
    pub(super) fn owner(&self, netns: Option<u32>, laddr: IpAddr, lport: u16) -> Option<Arc<Owner>> {
        let sockets =
            listening::addresses(laddr).find_map(|laddr| self.by_address.get(&(netns, laddr, lport)))?;
        let (_, first) = sockets.first()?;
        sockets.iter().all(|(_, owner)| owner.pid == first.pid).then(|| Arc::clone(first))
    }
}
