//! Counts of sockets by a key that they share.

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
    /// The process that has them open. A socket that several processes have open counts for each of them. A socket that no
    /// process has open counts for the one process that has its listener open.
    Process,
    /// The local address and port that the connections were made to, if something listens there.
    Listener,
    /// The remote address.
    Peer,
    /// The container of the process; without one, its systemd unit.
    Container,
}

impl By {
    /// Its name in JSON and CSV.
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
    /// A process: its id, and its name if the process was still there when it was read.
    Process(u32, Option<Vec<u8>>),
    /// The place of a listener.
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

/// The place of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listening {
    /// The listener's own end.
    pub local: LocalEnd,
    /// Index of the network device that it is bound to.
    pub ifindex: Option<u32>,
    /// That device's name.
    pub device: Option<Arc<str>>,
}

/// The number of sockets with a key, by state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The key.
    pub key: Key,
    /// The number of all sockets.
    pub total: u64,
    /// The number by state, in the order of the table.
    pub states: Vec<(State, u64)>,
}

impl Group {
    /// The number of sockets in a state.
    pub(crate) fn count(&self, state: State) -> u64 {
        self.states.iter().find(|(one, _)| *one == state).map_or(0, |(_, count)| *count)
    }

    /// The listener that the sockets share, if that is the key.
    pub(crate) const fn listening(&self) -> Option<&Listening> {
        match &self.key {
            Key::Listener(listening) => Some(listening),
            _ => None,
        }
    }
}

impl SocketScan {
    /// The groups, the largest first.
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

    /// Passes on the keys that a socket counts for: one for most kinds, each process for processes.
    fn keys(&self, by: By, socket: &Socket, mut count: impl FnMut(Key)) {
        let mut owners = self.owners.of(socket);
        match by {
            By::State => count(Key::State(socket.state)),
            By::Peer if socket.flow.remote.port == 0 => count(Key::None),
            By::Peer => count(Key::Peer(socket.flow.remote.address)),
            By::Listener => {
                count(self.owners.listener(socket).map_or(Key::None, |place| {
                    let ifindex = place.ifindex;
                    // The connection is on the same device.
                    let device = ifindex.and(socket.device.clone());
                    Key::Listener(Listening { local: place.end, ifindex, device })
                }));
            }
            By::Container => count(owners.find_map(|owner| home(owner.process?)).unwrap_or(Key::None)),
            By::Process => match (owners.next(), owners.next()) {
                // No process has it open, and which of several processes would accept it is not known.
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

    /// The number of sockets that several processes have open. Such a socket counts for each of the processes.
    pub fn shared(&self) -> usize {
        let is_shared = |socket: &Socket| {
            let mut owners = self.owners.of(socket).filter(|owner| owner.provenance != Provenance::Inherited);
            owners.nth(1).is_some()
        };
        self.sockets.iter().filter(|socket| is_shared(socket)).count()
    }

    /// The number of sockets in each state, in the order of the table.
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
