//! Facts of this host about a destination: whether it is on this host, which process listens there, and what is in the way.

use std::{net::IpAddr, sync::Arc};

use crate::{
    diagnosis::detect::{Sample, scoped::ScopedEndpoint},
    model::{
        evidence::EvidenceValue,
        finding::Finding,
        flow::Endpoint,
        namespace::NamespaceSample,
        socket::Socket,
        state::State,
        text::{Escaped, is_shell_word},
        who::Who,
    },
};

/// A listener at a destination of this host.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) cookie: u64,
    pub(super) owners: Arc<[Who]>,
    /// Connections that wait for `accept()`, and the backlog.
    pub(super) queue: (u32, u32),
    /// It takes connections by one network device only. Whether the attempts used that device is unknown.
    pub(super) is_bound: bool,
}

/// Whether a listener is bound to a network device.
pub(super) fn is_bound(socket: &Socket) -> bool {
    socket.ifindex.is_some()
}

/// The facts about a destination, at the last scan.
#[derive(Clone, Default)]
pub(super) struct Place {
    /// The address is the namespace's own.
    pub(super) is_own: bool,
    /// The address is of this host, perhaps of another scanned namespace.
    pub(super) is_here: bool,
    /// The listeners there.
    pub(super) listeners: Vec<Listener>,
    /// A listener on the same port at another address, where none listens at the destination.
    pub(super) elsewhere: Option<(Endpoint, Option<Who>)>,
    /// The interface of the local address, where it has no carrier or is not up.
    pub(super) down: Option<String>,
    /// Entries of the namespace's connection tracking, and their maximum, where the table is nearly full.
    pub(super) conntrack: Option<(u64, u64)>,
}

/// Whether the table of connection tracking is nearly full. A full table drops new connections (`nf_conntrack_alloc()`).
fn is_nearly_full((count, max): (u64, u64)) -> bool {
    max > 0 && count >= max - max / 10
}

impl Place {
    /// The facts about a destination that sockets of the namespace `netns` at `laddr` try.
    pub(super) fn of(sample: &Sample, netns: Option<u32>, laddr: Option<IpAddr>, to: ScopedEndpoint) -> Self {
        let Endpoint { address, port } = to.end;
        let namespace = sample.namespaces.get(&netns);
        let is_here = sample.is_here(netns, address);
        let listeners = sample.listeners_of_destination(netns, to.end);
        let listeners: Vec<_> = listeners
            .into_iter()
            .map(|seen| Listener {
                cookie: seen.socket.cookie,
                owners: seen.owners.clone(),
                queue: (seen.socket.recv_queue, seen.socket.send_queue),
                is_bound: is_bound(&seen.socket),
            })
            .collect();
        let is_own = sample.is_of_namespace(netns, address);
        let elsewhere = if is_own && listeners.is_empty() { elsewhere(sample, netns, port) } else { None };
        Self {
            is_own,
            is_here,
            listeners,
            elsewhere,
            down: namespace.and_then(|namespace| down(namespace, laddr?)),
            conntrack: namespace
                .and_then(|namespace| namespace.conntrack)
                .filter(|full| is_nearly_full(*full)),
        }
    }

    /// The facts that follow from the address alone, before any scan.
    pub(super) fn of_address(address: IpAddr) -> Self {
        Self { is_own: address.is_loopback(), is_here: address.is_loopback(), ..Self::default() }
    }

    /// Whether all listeners there are bound to a network device.
    pub(super) fn is_by_device(&self) -> bool {
        self.listeners.iter().all(|listener| listener.is_bound)
    }

    /// The program of a listener there, preferably of one without a network device; `None` where there is no listener.
    pub(super) fn listener(&self) -> Option<String> {
        let listener = self.listeners.iter().min_by_key(|listener| listener.is_bound)?;
        Some(listener.owners.first().map_or_else(|| "a program".to_owned(), ToString::to_string))
    }

    /// Whether one of the listeners there has connections that are not accepted yet.
    pub(super) fn has_waiting(&self) -> bool {
        self.listeners.iter().any(|listener| listener.queue.0 > 0)
    }

    /// The process that listens on the port at another address, in words.
    pub(super) fn elsewhere(&self) -> Option<String> {
        let (end, who) = self.elsewhere.as_ref()?;
        let who = who.as_ref().map_or_else(|| "a program".to_owned(), ToString::to_string);
        Some(format!("{who} listens on {end}"))
    }

    /// Adds what is in the way, before other steps.
    pub(super) fn in_the_way(&self, finding: Finding) -> Finding {
        let finding = match &self.down {
            Some(interface) => {
                let has_none = format!("{} has no carrier", Escaped(interface.as_bytes()));
                let command = is_shell_word(interface).then(|| format!("ip -s link show dev {interface}"));
                finding
                    .because("interface of the local address", has_none.as_str())
                    .then(&format!("{has_none}: check its link"), command)
            }
            None => finding,
        };
        match self.conntrack {
            Some((count, max)) => finding
                .because("connections that conntrack knows", EvidenceValue::part(count, max))
                .then(
                    "Connection tracking is nearly full and drops what is new: raise its maximum, or track less",
                    Some("sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max".to_owned()),
                ),
            None => finding,
        }
    }
}

fn down(namespace: &NamespaceSample, laddr: IpAddr) -> Option<String> {
    let mut all = namespace.addresses.iter().filter(|local| local.address == laddr);
    let first = all.next()?;
    // The same address may be on another interface that is up.
    (!first.running && all.all(|other| !other.running)).then(|| first.interface.clone())
}

/// A listener of the namespace on this port, at any address.
fn elsewhere(sample: &Sample, netns: Option<u32>, port: u16) -> Option<(Endpoint, Option<Who>)> {
    let listening = sample.sockets.iter().filter(|seen| {
        let socket = &seen.socket;
        socket.state == State::LISTEN && socket.flow.netns == netns && socket.flow.local.port == port
    });
    let least = listening.min_by_key(|seen| (seen.socket.flow.local.address, seen.socket.cookie))?;
    Some((least.socket.flow.local, least.owners.first().cloned()))
}
