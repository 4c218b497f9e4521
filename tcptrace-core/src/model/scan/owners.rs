//! The processes that sockets belong to.

use std::{net::IpAddr, sync::Arc};

use super::listeners::{Listener, Listeners, OnDevice, Place};
use crate::model::{
    dump::Namespace,
    flow::{Endpoint, LocalEnd},
    hash::HashMap,
    holders::{Holder, Holders},
    owner::Provenance,
    process::{Process, eldest_first},
    socket::{Kind, Socket},
};

/// A process that a socket belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Process and descriptor.
    pub holder: Holder,
    /// How the owner is known: it holds the socket open itself; or, where no process does, it holds the listener that the
    /// socket came from.
    pub provenance: Provenance,
    /// The process; `None` when it ended just now.
    pub process: Option<&'a Process>,
}

/// Which processes own which sockets.
#[derive(Clone, Debug)]
pub struct Owners {
    pub(crate) holders: Holders,
    pub(crate) listeners: HashMap<LocalEnd, Listener>,
    /// The processes, by their ids; `None` for a process that ended before it was read.
    pub(crate) processes: HashMap<u32, Option<Arc<Process>>>,
    /// The time at which the sockets had the ages that the kernel reported, or a little earlier, nanoseconds of
    /// `CLOCK_BOOTTIME`; 0 where it is not known.
    pub(crate) seen_ns: u64,
    /// The listeners that are bound to a device, which are not among the others.
    pub(crate) on_devices: HashMap<OnDevice, Listener>,
}

impl Owners {
    /// Makes the owners of sockets from the holders of descriptors and from the listeners among all sockets of the host. The
    /// sockets are in the order of the kernel's tables, and were asked for at `seen_ns`.
    pub fn new(holders: Holders, sockets: &[Box<Socket>], namespaces: &[Namespace], seen_ns: u64) -> Self {
        let Listeners { anywhere, on_devices } = Listeners::new(sockets, namespaces);
        Self { holders, listeners: anywhere, processes: HashMap::default(), seen_ns, on_devices }
    }

    /// Resolves a process whose sockets will be asked for; 0 is none.
    pub fn attach(&mut self, pid: u32, mut process: impl FnMut(u32) -> Option<Arc<Process>>) {
        if pid != 0 {
            self.processes.insert(pid, process(pid));
        }
    }

    /// Resolves the processes that own these sockets. Returns the number of sockets without a known owner that a process
    /// must have open.
    pub fn identify(
        &mut self,
        sockets: &[Box<Socket>],
        mut process: impl FnMut(u32) -> Option<Arc<Process>>,
    ) -> usize {
        let (mut processes, mut missing) = (HashMap::default(), 0);
        for socket in sockets {
            let holders = self.holders(socket).0;
            missing += usize::from(holders.is_empty() && socket.inode.is_some());
            for holder in holders {
                processes.entry(holder.pid).or_insert_with(|| process(holder.pid));
            }
        }
        self.processes = processes;
        missing
    }

    /// Replaces addresses and processes.
    pub fn rename(
        &mut self,
        address: impl Fn(IpAddr) -> IpAddr,
        process: impl Fn(&Arc<Process>) -> Arc<Process>,
    ) {
        let renamed = |LocalEnd { netns, end }: LocalEnd| LocalEnd {
            netns,
            end: Endpoint { address: address(end.address), ..end },
        };
        let listeners = std::mem::take(&mut self.listeners).into_iter();
        self.listeners = listeners.map(|(end, listener)| (renamed(end), listener)).collect();
        let on_devices = std::mem::take(&mut self.on_devices).into_iter();
        self.on_devices = on_devices
            .map(|(on, listener)| (OnDevice { local: renamed(on.local), ..on }, listener))
            .collect();
        for known in self.processes.values_mut() {
            *known = known.as_ref().map(&process);
        }
    }

    /// The processes that own a socket, each once: the oldest first, the others by their ids.
    pub fn of(&self, socket: &Socket) -> impl Iterator<Item = Owner<'_>> {
        let (holders, provenance) = self.holders(socket);
        let all = holders.chunk_by(|a, b| a.pid == b.pid).filter_map(move |chunk| {
            let holder = *chunk.first()?;
            let process = self.process(holder.pid).map(Arc::as_ref);
            self.may_own(process, socket).then_some(Owner { holder, provenance, process })
        });
        let eldest = all.clone().min_by_key(|owner| eldest_first(owner.holder.pid, owner.process));
        let others =
            all.filter(move |owner| eldest.is_none_or(|eldest| eldest.holder.pid != owner.holder.pid));
        eldest.into_iter().chain(others)
    }

    /// Whether a process, as far as it is known, is old enough. The process that listens now where a connection is in
    /// TIME_WAIT may have started after the connection got there.
    fn may_own(&self, process: Option<&Process>, socket: &Socket) -> bool {
        let age_ns = socket.age_at_least_ns.filter(|_| socket.kind == Kind::TimeWait && self.seen_ns > 0);
        let begun_ns = age_ns.map(|age_ns| self.seen_ns.saturating_sub(age_ns));
        process.zip(begun_ns).is_none_or(|(process, begun_ns)| process.started_ns() <= begun_ns)
    }

    /// The process of an owner; `None` when it ended just now.
    pub fn process(&self, pid: u32) -> Option<&Arc<Process>> {
        self.processes.get(&pid)?.as_ref()
    }

    /// Whether `pid` is one of the owners.
    pub fn is_owned_by(&self, socket: &Socket, pid: u32) -> bool {
        self.of(socket).any(|owner| owner.holder.pid == pid)
    }

    /// The number of processes that could not be read.
    pub fn unreadable(&self) -> usize {
        self.holders.unreadable()
    }

    /// The place of the listener that a connection was made to, if something listens there.
    pub(super) fn listener(&self, socket: &Socket) -> Option<Place> {
        Place::of(socket, &self.listeners, &self.on_devices)
    }

    fn holders(&self, socket: &Socket) -> (&[Holder], Provenance) {
        match socket.inode {
            Some(inode) => (self.holders.of(inode), Provenance::Exact),
            None => match self.listener(socket).map(|place| place.listener) {
                Some(Listener::One(inode)) => (self.holders.of(inode), Provenance::Inherited),
                Some(Listener::Unknown) | None => (&[], Provenance::Inherited),
            },
        }
    }
}
