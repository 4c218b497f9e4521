//! The listener that made a connection which no process has open.
//!
//! The kernel does not report it. The address shows it, unless something gives the connections for one listener to another:
//! a `sk_lookup` program, TPROXY, or the choice among several listeners at one end. Then the listener is not known, and no
//! owner is better than a wrong one.

use crate::model::{
    dump::Namespace,
    flow::LocalEnd,
    hash::HashMap,
    listening,
    socket::{Kind, Socket},
    state::State,
};

/// A local end on one network device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OnDevice {
    pub(crate) local: LocalEnd,
    pub(crate) ifindex: u32,
}

/// The longest tick of the kernel, nanoseconds. Ages are in ticks, of which a second has a hundred or more.
const TICK_NS: u64 = 10_000_000;

/// The listener at an end, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// The inode of the listener that made the connections there.
    One(u64),
    /// There are several listeners, or connections there that the listener cannot have made.
    Unknown,
}

/// All listeners.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    /// Listeners that are bound to no device.
    pub(super) anywhere: HashMap<LocalEnd, Listener>,
    /// Listeners that are bound to a device.
    pub(super) on_devices: HashMap<OnDevice, Listener>,
}

/// The place of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) end: LocalEnd,
    /// The device that it is bound to.
    pub(super) ifindex: Option<u32>,
    pub(super) listener: Listener,
}

impl Place {
    /// The place of the listener that a connection comes from by its address. For each address, the listener on the
    /// connection's device comes first, as `inet_lhash2_lookup()` scores them.
    pub(super) fn of(
        socket: &Socket,
        anywhere: &HashMap<LocalEnd, Listener>,
        on_devices: &HashMap<OnDevice, Listener>,
    ) -> Option<Self> {
        listening::ends(socket.flow.local_end()).find_map(|end| {
            let on_device =
                socket.ifindex.and_then(|ifindex| on_devices.get(&OnDevice { local: end, ifindex }));
            match on_device {
                Some(listener) => Some(Self { end, ifindex: socket.ifindex, listener: *listener }),
                None => anywhere.get(&end).map(|listener| Self { end, ifindex: None, listener: *listener }),
            }
        })
    }
}

/// The queue of a listener, to compare with the connections at its end.
struct Queue<'a> {
    /// Its index among the sockets.
    index: usize,
    listener: &'a Socket,
    /// Connections that were certainly waiting to be accepted when the queue was read.
    waiting: u32,
    /// A connection at its end is not its own.
    foreign: bool,
}

impl Listeners {
    /// The listeners among all sockets. The sockets are in the order in which the kernel walked its tables.
    pub(super) fn new(sockets: &[Box<Socket>], namespaces: &[Namespace]) -> Self {
        let mut this = Self::default();
        let mut queues: HashMap<(LocalEnd, Option<u32>), Queue<'_>> = HashMap::default();
        for (index, socket) in sockets.iter().enumerate().filter(|(_, socket)| socket.state == State::LISTEN)
        {
            let end = socket.flow.local_end();
            let listener = Listener::One(socket.inode.unwrap_or(0));
            let another = |listener: &mut Listener| *listener = Listener::Unknown;
            match socket.ifindex {
                Some(ifindex) => {
                    let on_device = OnDevice { local: end, ifindex };
                    this.on_devices.entry(on_device).and_modify(another).or_insert(listener);
                }
                None => {
                    this.anywhere.entry(end).and_modify(another).or_insert(listener);
                }
            }
            queues
                .insert((end, socket.ifindex), Queue { index, listener: socket, waiting: 0, foreign: false });
        }
        let walks: HashMap<Option<u32>, u64> =
            namespaces.iter().map(|read| (read.inode, read.end_ns.saturating_sub(read.begin_ns))).collect();
        for (index, child) in sockets.iter().enumerate().filter(|(_, socket)| is_nobodys(socket)) {
            let place = Place::of(child, &this.anywhere, &this.on_devices);
            if let Some(queue) = place.and_then(|place| queues.get_mut(&(place.end, place.ifindex))) {
                queue.take(index, child, walks.get(&child.flow.netns).copied());
            }
        }
        for ((end, ifindex), queue) in queues {
            if queue.foreign || queue.waiting > queue.listener.recv_queue {
                this.disown(end, ifindex);
            }
        }
        this
    }

    fn disown(&mut self, end: LocalEnd, ifindex: Option<u32>) {
        let listener = match ifindex {
            Some(ifindex) => self.on_devices.get_mut(&OnDevice { local: end, ifindex }),
            None => self.anywhere.get_mut(&end),
        };
        if let Some(listener) = listener {
            *listener = Listener::Unknown;
        }
    }
}

impl Queue<'_> {
    /// Takes a connection at its end that no process has open. `walk_ns` is how long the read of the namespace took.
    fn take(&mut self, index: usize, child: &Socket, walk_ns: Option<u64>) {
        // A child has the options of the socket that made it.
        let transparent = child.transparent.zip(self.listener.transparent);
        self.foreign |= transparent.is_some_and(|(child, listener)| child != listener);
        // The connection was read later, and was there since before the first socket was read: it was waiting in between.
        let was_there = walk_ns
            .zip(child.age_at_least_ns)
            .is_some_and(|(walk_ns, age_ns)| age_ns >= walk_ns.saturating_add(TICK_NS));
        // A program that closes a connection takes it out of these states. Subflows that join wait in no queue.
        let waits = matches!(child.state, State::ESTABLISHED | State::CLOSE_WAIT) && !child.mptcp;
        self.waiting += u32::from(was_there && waits && index > self.index);
    }
}

/// Whether it is a connection that no process has open.
fn is_nobodys(socket: &Socket) -> bool {
    socket.kind == Kind::Full && socket.inode.is_none() && socket.flow.remote.port != 0
}

#[cfg(test)]
mod tests;
