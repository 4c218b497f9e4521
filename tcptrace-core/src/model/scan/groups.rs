//! Counting sockets by what they have in common.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

use super::{Owner, SocketScan, order};
use crate::model::{
    flow::LocalEnd,
    owner::Provenance,
    process::{Container, Process},
    socket::Socket,
    state::State,
};

/// Keys by which sockets are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Their state.
    State,
    /// The process that has them open; of several, each. Of those that nobody has open, the one process that has their
    /// listener open.
    Process,
    /// The local address and port that they were made to, if something listens there.
    Listener,
    /// The remote address.
    Peer,
    /// The container of the process; without one, its systemd unit.
    Container,
}

impl By {
    /// As JSON and CSV have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Process => "process",
            Self::Listener => "listener",
            Self::Peer => "peer",
            Self::Container => "container",
        }
    }
}

/// The key that the sockets of a group share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A state.
    State(State),
    /// A process: its id, and its name if it still was there to be asked.
    Process(u32, Option<Vec<u8>>),
    /// Where something listens.
    Listener(Listening),
    /// An address.
    Peer(IpAddr),
    /// A container.
    Container(Container),
    /// A unit of systemd.
    Unit(String),
    /// Nothing: no process is known, nothing listens there, no container, no peer.
    None,
}

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listening {
    /// Its own end.
    pub local: LocalEnd,
    /// Index of the network device that it is bound to.
    pub ifindex: Option<u32>,
    /// That device's name.
    pub device: Option<Arc<str>>,
}

/// How many sockets have a key, by state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The key.
    pub key: Key,
    /// All of them.
    pub total: u64,
    /// By state, in the order of the table.
    pub states: Vec<(State, u64)>,
}

impl Group {
    /// How many are in a state.
    pub(crate) fn count(&self, state: State) -> u64 {
        self.states.iter().find(|(one, _)| *one == state).map_or(0, |(_, count)| *count)
    }

    /// The listener that they have in common, if that is it.
    pub(crate) const fn listening(&self) -> Option<&Listening> {
        match &self.key {
            Key::Listener(listening) => Some(listening),
            _ => None,
        }
    }
}

impl SocketScan {
    /// The groups, the greatest first.
    pub fn groups(&self, by: By) -> Vec<Group> {
        let mut counts: HashMap<Key, BTreeMap<(usize, State), u64>> = HashMap::new();
        for socket in &self.sockets {
            self.keys(by, socket, |key| {
                *counts
                    .entry(key)
                    .or_default()
                    .entry((order::rank(socket.state), socket.state))
                    .or_default() += 1;
            });
        }
        let mut groups: Vec<Group> = counts
            .into_iter()
            .map(|(key, states)| Group {
                key,
                total: states.values().sum(),
                states: states.into_iter().map(|((_, state), count)| (state, count)).collect(),
            })
            .collect();
        groups.sort_by_cached_key(|group| (std::cmp::Reverse(group.total), format!("{:?}", group.key)));
        groups
    }

    /// Hands out the keys that a socket counts for: of most kinds one, of processes each.
    fn keys(&self, by: By, socket: &Socket, mut count: impl FnMut(Key)) {
        let mut owners = self.owners.of(socket);
        match by {
            By::State => count(Key::State(socket.state)),
            By::Peer if socket.flow.remote.port == 0 => count(Key::None),
            By::Peer => count(Key::Peer(socket.flow.remote.address)),
            By::Listener => {
                count(self.owners.listener(socket).map_or(Key::None, |place| {
                    let ifindex = place.ifindex;
                    // It is on the same one.
                    let device = ifindex.and(socket.device.clone());
                    Key::Listener(Listening { local: place.end, ifindex, device })
                }));
            }
            By::Container => count(owners.find_map(|owner| home(owner.process?)).unwrap_or(Key::None)),
            By::Process => match (owners.next(), owners.next()) {
                // Nobody has it, and which of several would is not known.
                (None, _) | (Some(Owner { provenance: Provenance::Inherited, .. }), Some(_)) => {
                    count(Key::None);
                }
                (first, second) => {
                    for owner in first.into_iter().chain(second).chain(owners) {
                        let name = owner.process.map(|process| process.comm.clone());
                        count(Key::Process(owner.holder.pid, name));
                    }
                }
            },
        }
    }

    /// How many sockets several processes have open, each of which they count for.
    pub fn shared(&self) -> usize {
        let is_shared = |socket: &Socket| {
            let mut owners = self.owners.of(socket).filter(|owner| owner.provenance != Provenance::Inherited);
            owners.nth(1).is_some()
        };
        self.sockets.iter().filter(|socket| is_shared(socket)).count()
    }

    /// How many sockets are in each state, in the order of the table.
    pub fn states(&self) -> Vec<(State, u64)> {
        let mut counts: BTreeMap<(usize, State), u64> = BTreeMap::new();
        for socket in &self.sockets {
            *counts.entry((order::rank(socket.state), socket.state)).or_default() += 1;
        }
        counts.into_iter().map(|((_, state), count)| (state, count)).collect()
    }
}

fn home(process: &Process) -> Option<Key> {
    let container = process.container.clone().map(Key::Container);
    container.or_else(|| process.unit.clone().map(Key::Unit))
}
