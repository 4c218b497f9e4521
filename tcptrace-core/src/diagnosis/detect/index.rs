//! The index of a scan, built once for all detectors.

use std::{
    hash::BuildHasher as _,
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use hashlink::DefaultHashBuilder;

use super::{Sample, Seen};
use crate::model::{
    flow::{Endpoint, Flow, LocalEnd},
    hash::{HashMap, HashSet},
    listening,
    socket::{Kind, Socket},
    state::State,
};

/// The index of a sample, built at its first use. A copy of the sample builds its own index, since the copy may be changed.
#[derive(Debug, Default)]
pub struct Lookup(OnceLock<Index>);

impl Clone for Lookup {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Positions in [`Sample::sockets`].
#[derive(Debug, Default)]
struct Index {
    hasher: DefaultHashBuilder,
    /// Connections by a hash of their ends, sorted: there may be a million.
    by_flow: Vec<(u64, u32)>,
    listeners: HashMap<LocalEnd, Vec<u32>>,
    addresses: Arc<Addresses>,
}

/// A network namespace, by its inode number where that is known.
type Owner = Option<u32>;

/// The addresses of all scanned namespaces, together and by namespace.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// The namespace that has the address; `None` where several have it, so that it identifies none.
    owner: HashMap<IpAddr, Option<Owner>>,
    by_namespace: HashSet<(Option<u32>, IpAddr)>,
}

impl Addresses {
    fn of(sample: &Sample) -> Self {
        let mut addresses = Self::default();
        for (netns, namespace) in &sample.namespaces {
            for local in &namespace.addresses {
                addresses.by_namespace.insert((*netns, local.address));
                let owner = addresses.owner.entry(local.address).or_insert(Some(*netns));
                *owner = owner.filter(|owner| owner == netns);
            }
        }
        addresses
    }

    /// Whether no address is known, as in a capture without addresses.
    pub(super) fn is_empty(&self) -> bool {
        self.owner.is_empty()
    }

    /// Whether an address is the namespace's own, so that packets to it never leave the host.
    pub(super) fn is_of_namespace(&self, netns: Option<u32>, address: IpAddr) -> bool {
        address.is_loopback() || self.by_namespace.contains(&(netns, address))
    }

    /// Whether any scanned namespace has an address.
    pub(super) fn may_be_here(&self, address: IpAddr) -> bool {
        !is_of_one_namespace(address) && self.owner.contains_key(&address)
    }

    /// The namespace to which an address leads from `netns`: `netns` itself, or the only other namespace that has the
    /// address.
    fn leads_to(&self, netns: Option<u32>, address: IpAddr) -> Option<Owner> {
        if self.is_of_namespace(netns, address) {
            return Some(netns);
        }
        self.owner.get(&address).copied().flatten().filter(|_| !is_of_one_namespace(address))
    }

    /// Whether an address belongs to this host: to this namespace, or to exactly one other scanned namespace. Where several
    /// have it, as isolated networks may, it may also belong to another host.
    pub(super) fn is_here(&self, netns: Option<u32>, address: IpAddr) -> bool {
        self.leads_to(netns, address).is_some()
    }
}

impl Index {
    fn of(sample: &Sample) -> Self {
        let mut index = Self::default();
        for (place, seen) in (0..).zip(&sample.sockets) {
            let socket = &seen.socket;
            if socket.state == State::LISTEN {
                index.listeners.entry(seen.local_end()).or_default().push(place);
            } else if socket.kind != Kind::Request && socket.flow.remote.port != 0 {
                index.by_flow.push((index.hash(&socket.flow), place));
            }
        }
        index.by_flow.sort_unstable();
        index.addresses = Arc::new(Addresses::of(sample));
        index
    }

    fn hash(&self, flow: &Flow) -> u64 {
        self.hasher.hash_one(flow.anywhere())
    }
}

/// Whether an address is valid in one namespace only.
pub(super) fn is_of_one_namespace(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    }
}

impl Sample {
    fn index(&self) -> &Index {
        self.lookup.0.get_or_init(|| Index::of(self))
    }

    fn at(&self, place: u32) -> &Seen {
        &self.sockets[place as usize]
    }

    /// The other end of a connection within this host, if the scan found it: in the same namespace, or, for addresses that
    /// are valid across namespaces, in another one.
    pub(super) fn other_end(&self, socket: &Socket) -> Option<&Seen> {
        let there = socket.flow.reversed();
        let index = self.index();
        let (key, by_flow) = (index.hash(&there), &index.by_flow);
        let start = by_flow.partition_point(|(hash, _)| *hash < key);
        let same = by_flow[start..].iter().take_while(|(hash, _)| *hash == key);
        let others = same.map(|(_, place)| self.at(*place)).filter(|seen| {
            let other = &seen.socket.flow;
            other.anywhere() == there.anywhere()
                && (other.netns == there.netns || !is_of_one_namespace(there.local.address))
        });
        // The other end of a connection to itself is itself.
        others.min_by_key(|seen| {
            (seen.socket.flow.netns != socket.flow.netns, seen.socket.cookie == socket.cookie)
        })
    }

    /// The listeners from which a connection at this end can come: those with the most specific address.
    pub(super) fn listeners(&self, local: LocalEnd) -> impl Iterator<Item = &Seen> {
        let listeners = &self.index().listeners;
        let places = listening::ends(local).find_map(|end| listeners.get(&end));
        places.into_iter().flatten().map(|place| self.at(*place))
    }

    /// The same for the namespace that has this end's address as its own: `netns`, or else the only scanned namespace that
    /// has it.
    pub(super) fn listeners_of_destination(&self, netns: Option<u32>, end: Endpoint) -> Vec<&Seen> {
        let there = self.index().addresses.leads_to(netns, end.address);
        there.into_iter().flat_map(|netns| self.listeners(LocalEnd { netns, end })).collect()
    }

    /// Whether an address is the namespace's own, so that packets to it never leave the host.
    pub(super) fn is_of_namespace(&self, netns: Option<u32>, address: IpAddr) -> bool {
        self.index().addresses.is_of_namespace(netns, address)
    }

    /// Whether an address belongs to this host: to this namespace, or to exactly one other scanned namespace.
    pub(super) fn is_here(&self, netns: Option<u32>, address: IpAddr) -> bool {
        self.index().addresses.is_here(netns, address)
    }

    /// The addresses of this host, shared until the next scan.
    pub(super) fn addresses(&self) -> Arc<Addresses> {
        Arc::clone(&self.index().addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::namespace::{LocalAddress, NamespaceSample};

    fn seen(cookie: u64, netns: u32, state: State, local: &str, remote: &str) -> Seen {
        let (local, remote) = (local.parse().expect("ends"), remote.parse().expect("ends"));
        let socket = Socket { cookie, ..Socket::between(state, local, remote) }.in_netns(Some(netns));
        Seen::new(socket, Vec::new())
    }

    fn established(cookie: u64, netns: u32, local: &str, remote: &str) -> Seen {
        seen(cookie, netns, State::ESTABLISHED, local, remote)
    }

    fn listens(cookie: u64, netns: u32, local: &str) -> Seen {
        let remote = if local.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
        seen(cookie, netns, State::LISTEN, local, remote)
    }

    fn sample(sockets: Vec<Seen>) -> Sample {
        let with = |address: &str, running| {
            let address = address.parse().expect("an address");
            let local = LocalAddress { address, interface: "eth0".to_owned(), running };
            NamespaceSample { addresses: vec![local], ..NamespaceSample::default() }
        };
        let namespaces = [(Some(1), with("192.0.2.1", true)), (Some(2), with("192.0.2.2", true))];
        Sample { sockets, namespaces: namespaces.into(), ..Sample::default() }
    }

    const NOBODY: [u64; 0] = [];

    fn cookies<'a>(found: impl IntoIterator<Item = &'a Seen>) -> Vec<u64> {
        found.into_iter().map(|seen| seen.socket.cookie).collect()
    }

    #[test]
    fn the_other_end_is_the_one_with_the_ends_turned_round() {
        let sample = sample(vec![
            established(1, 1, "127.0.0.1:80", "127.0.0.1:40000"),
            established(2, 2, "127.0.0.1:40000", "127.0.0.1:80"),
            established(3, 1, "192.0.2.1:40000", "192.0.2.2:80"),
            established(4, 2, "192.0.2.2:80", "192.0.2.1:40000"),
            established(5, 1, "127.0.0.1:80", "127.0.0.1:40001"),
            established(6, 1, "127.0.0.1:40001", "127.0.0.1:80"),
            established(7, 1, "127.0.0.1:50000", "127.0.0.1:50000"),
        ]);
        let other = |place: usize| cookies(sample.other_end(&sample.sockets[place].socket));
        assert_eq!(other(0), NOBODY, "127.0.0.1 of another namespace is another address");
        assert_eq!((other(2), other(3)), (vec![4], vec![3]), "across namespaces");
        assert_eq!((other(4), other(5)), (vec![6], vec![5]));
        assert_eq!(other(6), [7], "a connection to itself");
    }

    #[test]
    fn a_changed_copy_has_an_index_of_its_own() {
        let mut changed = sample(vec![
            established(1, 1, "192.0.2.1:80", "192.0.2.2:40000"),
            established(2, 2, "192.0.2.2:40000", "192.0.2.1:80"),
        ]);
        assert_eq!(cookies(changed.other_end(&changed.sockets[0].socket)), [2]);
        changed = changed.clone();
        changed.sockets.remove(1);
        assert_eq!(cookies(changed.other_end(&changed.sockets[0].socket)), NOBODY);
    }

    #[test]
    fn the_listener_with_the_most_exact_address() {
        let sample = sample(vec![
            listens(1, 1, "0.0.0.0:80"),
            listens(2, 1, "127.0.0.1:80"),
            listens(3, 1, "[::]:81"),
            listens(4, 2, "192.0.2.2:80"),
            listens(5, 2, "192.0.2.2:80"),
        ]);
        let end = |address: &str, port| Endpoint::new(address.parse().expect("an address"), port);
        let at = |netns, address: &str, port| {
            cookies(sample.listeners(LocalEnd { netns: Some(netns), end: end(address, port) }))
        };
        assert_eq!(at(1, "127.0.0.1", 80), [2]);
        assert_eq!((at(1, "192.0.2.1", 80), at(1, "192.0.2.1", 81)), (vec![1], vec![3]));
        assert_eq!(at(1, "192.0.2.1", 82), NOBODY);
        let towards =
            |netns, address: &str| cookies(sample.listeners_of_destination(Some(netns), end(address, 80)));
        assert_eq!(towards(1, "192.0.2.2"), [4, 5], "in the namespace whose address it is");
        assert_eq!(towards(1, "198.51.100.1"), NOBODY, "not on this host");
        assert_eq!(towards(2, "127.0.0.1"), NOBODY, "nobody listens there");
    }

    /// Isolated networks may have the same addresses: from elsewhere, such an address identifies none of them.
    #[test]
    fn an_address_of_several_namespaces_is_nobodys() {
        let mut sample = sample(vec![
            listens(1, 1, "0.0.0.0:80"),
            listens(2, 2, "0.0.0.0:80"),
            listens(3, 3, "0.0.0.0:80"),
        ]);
        let shared = |address: &str| LocalAddress {
            address: address.parse().expect("an address"),
            interface: "eth0".to_owned(),
            running: true,
        };
        for netns in [1, 2] {
            let namespace = sample.namespaces.get_mut(&Some(netns)).expect("a namespace");
            // An address on two interfaces of one namespace is still that namespace's own.
            namespace.addresses.extend([shared("172.17.0.1"), shared("172.17.0.1")]);
        }
        sample.namespaces.insert(Some(3), NamespaceSample::default());
        let towards = |netns, address: &str| {
            let address = address.parse().expect("an address");
            let listeners = cookies(sample.listeners_of_destination(Some(netns), Endpoint::new(address, 80)));
            (sample.is_here(Some(netns), address), listeners)
        };
        assert_eq!((towards(1, "172.17.0.1"), towards(2, "172.17.0.1")), ((true, vec![1]), (true, vec![2])));
        assert_eq!(towards(3, "172.17.0.1"), (false, vec![]));
        assert_eq!(towards(3, "192.0.2.2"), (true, vec![2]), "one that a single namespace has");
    }

    #[test]
    fn whose_address_it_is() {
        let sample = sample(Vec::new());
        let here = |netns, address: &str| {
            let address = address.parse().expect("an address");
            (sample.is_of_namespace(Some(netns), address), sample.is_here(Some(netns), address))
        };
        assert_eq!(here(1, "192.0.2.1"), (true, true));
        assert_eq!(here(2, "192.0.2.1"), (false, true));
        assert_eq!(here(1, "127.9.9.9"), (true, true));
        assert_eq!(here(1, "198.51.100.1"), (false, false));
    }
}
