//! Listeners by their local end, so that a child socket can inherit its listener's owner.

use std::sync::Arc;

use hashlink::LinkedHashMap;

use super::{Span, exits::key, lacks_identity};
use crate::model::{
    event::Event,
    flow::LocalEnd,
    hash::HashMap,
    input::Key as ProcessKey,
    listening,
    owner::{Owner, Provenance},
    socket_dump::Preexisting,
    state::State,
};

/// A listening socket.
struct Listener {
    /// 0 where it is not known: some kernels give a socket a cookie only when it is asked for.
    cookie: u64,
    /// Its address in the kernel; 0 where only a dump has shown it.
    skaddr: u64,
    /// Whether it takes connections by one network device only.
    on_device: bool,
    owner: Arc<Owner>,
    /// When it was last known to listen, nanoseconds of `CLOCK_MONOTONIC`.
    seen_ns: u64,
}

impl Listener {
    /// Whether it is the socket with this cookie and address; `None` when neither the cookies nor the addresses can be
    /// compared.
    fn is(&self, cookie: u64, skaddr: u64) -> Option<bool> {
        [(self.cookie, cookie), (self.skaddr, skaddr)]
            .into_iter()
            .find(|(mine, other)| *mine != 0 && *other != 0)
            .map(|(mine, other)| mine == other)
    }
}

/// The most sockets of one key. They are searched one by one; no server has so many.
const MOST_SHARING: usize = 4_096;

/// How long connections count as steered after the last one that was, nanoseconds. The program or rule that steers them may
/// be gone, and nothing reports that.
const STEERED_NS: u64 = 600_000_000_000;

/// Listening sockets that an event or a dump has shown, bounded like the table of connections.
pub(super) struct Listeners {
    /// With `SO_REUSEPORT` several sockets share a key. Each has its owner, in the form that children inherit.
    by_address: LinkedHashMap<LocalEnd, Vec<Listener>>,
    /// Namespaces in which the kernel may have given connections to listeners of other addresses, with the last time of
    /// that.
    steered: HashMap<Option<u32>, u64>,
    limit: usize,
    /// Where the next [`Self::some`] begins.
    next: usize,
}

impl Listeners {
    pub(super) fn new(limit: usize) -> Self {
        Self { by_address: LinkedHashMap::new(), steered: HashMap::default(), limit, next: 0 }
    }

    /// Notes a listener that starts or ends.
    pub(super) fn observe(&mut self, event: &Event, owner: Option<&Owner>) {
        let key = event.flow.local_end();
        let Event { cookie, skaddr, ktime_ns: seen_ns, .. } = *event;
        let on_device = event.device.is_some();
        if event.new_state == State::LISTEN {
            if let Some(owner) = owner {
                self.add(key, Listener { cookie, skaddr, on_device, owner: inherited(owner), seen_ns }, None);
            }
        } else if event.old_state == State::LISTEN && event.new_state == State::CLOSE {
            self.remove(&key, cookie, skaddr);
        }
    }

    /// Notes a socket of a dump, if it listens. `holders_ns`: when its holders were read, where that is known.
    pub(super) fn list(&mut self, preexisting: &Preexisting, holders_ns: Option<u64>) {
        if preexisting.state != State::LISTEN {
            return;
        }
        let Preexisting { cookie, dumped_ns: seen_ns, on_device, .. } = *preexisting;
        let key = preexisting.flow.local_end();
        if let Some(owner) = &preexisting.owner {
            self.add(
                key,
                Listener { cookie, skaddr: 0, on_device, owner: inherited(owner), seen_ns },
                holders_ns,
            );
        } else if let Some(sockets) = self.by_address.get_mut(&key) {
            // The dump does not show the owner; only events have shown it.
            let may_be_it = |known: &&mut Listener| known.is(cookie, 0) != Some(false);
            sockets.iter_mut().filter(may_be_it).for_each(|known| known.seen_ns = seen_ns);
        }
    }

    /// Forgets listeners that were not in a dump of all listeners of these namespaces: the trace has missed their end. Also
    /// forgets namespaces where no connection has been steered for long.
    pub(super) fn forget_undumped(&mut self, namespaces: &[Span]) {
        self.by_address.retain(|LocalEnd { netns, .. }, sockets| {
            if let Some(span) = namespaces.iter().find(|span| span.netns == *netns) {
                sockets.retain(|socket| socket.seen_ns >= span.begin_ns);
            }
            !sockets.is_empty()
        });
        let now_ns = namespaces.iter().map(|span| span.end_ns).max().unwrap_or(0);
        self.steered.retain(|_, last_ns| now_ns.saturating_sub(*last_ns) < STEERED_NS);
    }

    fn add(&mut self, key: LocalEnd, listener: Listener, holders_ns: Option<u64>) {
        if self.by_address.len() >= self.limit && !self.by_address.contains_key(&key) {
            self.by_address.pop_front();
        }
        let (pid, is_listed) = (listener.owner.pid, listener.skaddr == 0);
        let Listener { cookie, skaddr, seen_ns, on_device, .. } = listener;
        // Whether it may be a listener that only a dump or only events have shown so far. A listener that begins after a
        // dump is not one that the dump had.
        let may_be = |known: &Listener| known.owner.pid == pid && (skaddr == 0 || seen_ns <= known.seen_ns);
        let same = |known: &Listener| known.is(cookie, skaddr).unwrap_or_else(|| may_be(known));
        let sockets = self.by_address.entry(key).or_insert_with(Vec::new);
        let is_full = sockets.len() >= MOST_SHARING;
        match sockets.iter_mut().find(|known| same(known)) {
            Some(known) => {
                let (cookie, skaddr) = (cookie.max(known.cookie), skaddr.max(known.skaddr));
                // The owner in a dump is only the process that has had the socket open for the longest time.
                let owner = if is_listed { known.owner.among(&listener.owner) } else { None };
                // The socket has begun to listen since the holders were read.
                let is_since = is_listed && holders_ns.is_some_and(|read_ns| known.seen_ns >= read_ns);
                let owner = match owner {
                    Some(owner) => Arc::new(owner),
                    None if is_since => Arc::clone(&known.owner),
                    None => listener.owner,
                };
                *known = Listener { cookie, skaddr, on_device, owner, seen_ns };
            }
            None if is_full => {}
            None => sockets.push(listener),
        }
    }

    fn remove(&mut self, key: &LocalEnd, cookie: u64, skaddr: u64) {
        let Some(sockets) = self.by_address.get_mut(key) else { return };
        let place = |is| sockets.iter().position(|socket| socket.is(cookie, skaddr) == is);
        if let Some(place) = place(Some(true)).or_else(|| place(None)) {
            sockets.remove(place);
        }
        if sockets.is_empty() {
            self.by_address.remove(key);
        }
    }

    /// Notes the namespace where the kernel may have chosen a listener of another address for a child, by the child's first
    /// event.
    pub(super) fn note_steering(&mut self, child: &Event) {
        if child.steered && (self.steered.len() < self.limit || self.steered.contains_key(&child.flow.netns))
        {
            self.steered.insert(child.flow.netns, child.ktime_ns);
        }
    }

    /// The owner of the listener that made a child, by the child's first event.
    pub(super) fn owner_of_child(&self, event: &Event) -> Option<Arc<Owner>> {
        let (local, cookie) = (event.flow.local_end(), event.cookie);
        // Kernels up to 6.12 report the child while it still has the listener's cookie, which identifies the listener
        // exactly.
        if lacks_identity(event) && cookie != 0 {
            let sockets = self.by_address.get(&local)?;
            if let Some(listener) = sockets.iter().find(|socket| socket.is(cookie, 0) == Some(true)) {
                return Some(Arc::clone(&listener.owner));
            }
            if sockets.iter().all(|socket| socket.is(cookie, 0).is_some()) {
                return None;
            }
        }
        if event.steered { None } else { self.at(local) }
    }

    /// The owner of the listener that a connection with this local end comes from, where only that end is known; `None` in a
    /// namespace where connections have been steered.
    pub(super) fn owner(&self, local: LocalEnd) -> Option<Arc<Owner>> {
        if self.steered.contains_key(&local.netns) { None } else { self.at(local) }
    }

    /// Whether a process owns a listener.
    pub(super) fn has(&self, process: &ProcessKey) -> bool {
        self.by_address.values().flatten().any(|socket| key(&socket.owner) == *process)
    }

    /// The owners of the next `most` sockets, in turn.
    pub(super) fn some(&mut self, most: usize) -> Vec<Arc<Owner>> {
        let from = |begin| -> Vec<Arc<Owner>> {
            let sockets = self.by_address.values().flatten().skip(begin).take(most);
            sockets.map(|socket| Arc::clone(&socket.owner)).collect()
        };
        let (mut begin, mut some) = (self.next, from(self.next));
        if some.is_empty() {
            (begin, some) = (0, from(0));
        }
        self.next = begin + some.len();
        some
    }

    /// The owner of the listener that a connection with this local end comes from. The listener is bound to its address, or
    /// to any. `None` when several processes listen there, since no event shows which of them the kernel chose. A listener
    /// on a network device leaves the connections of other devices to the next address.
    fn at(&self, local: LocalEnd) -> Option<Arc<Owner>> {
        let mut owner: Option<&Arc<Owner>> = None;
        for sockets in listening::ends(local).filter_map(|end| self.by_address.get(&end)) {
            for socket in sockets {
                if owner.get_or_insert(&socket.owner).pid != socket.owner.pid {
                    return None;
                }
            }
            if sockets.iter().any(|socket| !socket.on_device) {
                break;
            }
        }
        owner.cloned()
    }
}

fn inherited(owner: &Owner) -> Arc<Owner> {
    Arc::new(Owner { provenance: Provenance::Inherited, ..owner.clone() })
}
