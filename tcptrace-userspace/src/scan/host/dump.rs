//! Dumps of the host's sockets for the tracker: pre-existing sockets, and sockets of which the kernel reports nothing
//! more.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tcptrace_core::model::{
    close::Role,
    dump::Namespace,
    event::Device,
    flow::LocalEnd,
    hash::HashMap,
    holders::Holders,
    listening,
    owner::{Owner, Provenance, padded},
    payload,
    process::{Process, eldest_first},
    socket::{Kind, Socket},
    socket_dump::{Preexisting, PreexistingTimewait, Scope, Since, SocketDump},
    socket_filter::SocketFilter,
    state::State,
};

use super::{RawScan, by_inode};
use crate::{
    scan::process::{Life, Processes},
    sys::clock::monotonic_ns,
};

/// The states of timewait sockets, a bit for each.
pub const TIMEWAIT_STATES: u32 = 1 << State::FIN_WAIT2.0 | 1 << State::TIME_WAIT.0;

/// Makes the dump of a scan. It has timewait sockets only, where the scan is of some states only.
pub(super) fn dump(scan: &RawScan, wanted: &SocketFilter) -> SocketDump {
    let RawScan { snapshot, states, holders, holders_ns, .. } = scan;
    let scope = if *states == 0 { Scope::All } else { Scope::Timewait };
    let mut dump = SocketDump {
        scope,
        preexisting: Vec::new(),
        timewait: Vec::new(),
        namespaces: snapshot.namespaces.clone(),
        gaps: snapshot.gaps.clone(),
        unreadable: holders.as_ref().map_or(0, Holders::unreadable),
        took: Duration::ZERO,
        holders_ns: holders.as_ref().map(|_| *holders_ns),
    };
    let namespaces = by_inode(&snapshot.namespaces);
    let listening = listeners(&snapshot.sockets);
    let mut owners = Owners::new(holders.as_ref());
    for socket in snapshot.sockets.iter().filter(|socket| is_wanted(wanted, socket)) {
        let Some(&namespace) = namespaces.get(&socket.flow.netns) else { continue };
        match socket.kind {
            Kind::Request => {}
            Kind::TimeWait => dump.timewait.push(timewait_socket(socket, namespace)),
            Kind::Full if scope == Scope::Timewait || socket.state == State::CLOSE => {}
            Kind::Full => {
                let preexisting = preexisting(socket, namespace, &listening, owners.of(socket));
                dump.preexisting.push(preexisting);
            }
        }
    }
    // The tracker keeps the sockets of one state in the order in which they will end.
    dump.timewait.sort_by_key(|timewait| timewait.since_ns);
    dump.unreadable += owners.unidentified.len();
    dump.took = Duration::from_nanos(monotonic_ns().saturating_sub(*holders_ns));
    dump
}

/// Whether the dump has this socket. It has all listeners, whatever the filter is: they show the owners of connections.
fn is_wanted(wanted: &SocketFilter, socket: &Socket) -> bool {
    socket.state == State::LISTEN || wanted.socket_passes(socket)
}

/// Resolves the owners of sockets.
struct Owners<'a> {
    holders: Option<&'a Holders>,
    processes: Processes,
    /// Processes that live, and of which too little could be read.
    unidentified: HashSet<u32>,
    /// The owner where these processes have a socket open. Most sockets of a host have the same few owners.
    known: HashMap<Vec<u32>, Option<Arc<Owner>>>,
    /// The processes that have the current socket open.
    pids: Vec<u32>,
}

impl<'a> Owners<'a> {
    fn new(holders: Option<&'a Holders>) -> Self {
        Self {
            holders,
            processes: Processes::new(),
            unidentified: HashSet::new(),
            known: HashMap::default(),
            pids: Vec::new(),
        }
    }

    /// The owner of a socket.
    fn of(&mut self, socket: &Socket) -> Option<Arc<Owner>> {
        let holders = self.holders?.of(socket.inode?);
        self.pids.clear();
        self.pids.extend(holders.iter().map(|holder| holder.pid));
        self.pids.dedup();
        if let Some(owner) = self.known.get(&self.pids) {
            return owner.clone();
        }
        let pids = self.pids.clone();
        let owner = self.among(&pids).map(Arc::new);
        self.known.insert(pids, owner.clone());
        owner
    }

    /// The oldest of the processes that have a socket open, and the others. The others have the socket from the oldest.
    fn among(&mut self, pids: &[u32]) -> Option<Owner> {
        let mut processes: Vec<Arc<Process>> = pids.iter().filter_map(|pid| self.identify(*pid)).collect();
        processes.sort_by_key(|process| eldest_first(process.pid, Some(process.as_ref())));
        let (first, others) = processes.split_first()?;
        Some(Owner {
            pid: first.pid,
            uid: first.uid,
            comm: padded(&first.comm),
            provenance: Provenance::Snapshot,
            others: (!others.is_empty()).then(|| others.iter().map(|other| other.pid).collect()),
            process: Some(Arc::clone(first)),
        })
    }

    /// Identifies a holder. A holder that has ended holds nothing any more. A living one that cannot be identified is a
    /// gap.
    fn identify(&mut self, pid: u32) -> Option<Arc<Process>> {
        let process = self.processes.get(pid);
        if process.is_none() && self.processes.life(pid) != Life::Ended {
            self.unidentified.insert(pid);
        }
        process
    }
}

/// The local ends of listeners.
fn listeners(sockets: &[Box<Socket>]) -> HashSet<LocalEnd> {
    let listening = sockets.iter().filter(|socket| socket.state == State::LISTEN);
    listening.map(|socket| socket.flow.local_end()).collect()
}

fn preexisting(
    socket: &Socket,
    namespace: &Namespace,
    listening: &HashSet<LocalEnd>,
    owner: Option<Arc<Owner>>,
) -> Preexisting {
    let since = Since::AtLatest(namespace.end_ns.saturating_sub(socket.age_at_least_ns.unwrap_or(0)));
    let from_listener = listening::ends(socket.flow.local_end()).any(|end| listening.contains(&end));
    let role = match socket.state {
        State::LISTEN => Some(Role::Listener),
        // Its listener may have ended before it, or listen where a client is bound.
        _ => payload::role(socket).or_else(|| from_listener.then_some(Role::Server)),
    };
    Preexisting {
        cookie: socket.cookie,
        flow: socket.flow,
        state: socket.state,
        since,
        dumped_ns: namespace.begin_ns,
        role,
        owner,
        on_device: socket.ifindex.is_some(),
    }
}

fn timewait_socket(socket: &Socket, namespace: &Namespace) -> PreexistingTimewait {
    let age_ns = socket.age_at_least_ns.unwrap_or(0);
    PreexistingTimewait {
        flow: socket.flow,
        cookie: socket.cookie,
        state: socket.state,
        since_ns: namespace.end_ns.saturating_sub(age_ns),
        dumped_ns: namespace.begin_ns,
        device: socket.ifindex.map(|ifindex| Device { ifindex, name: socket.device.clone() }),
    }
}
