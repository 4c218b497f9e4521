//! The evidence that one connection gives about its client.

use crate::{
    diagnosis::detect::{Sample, Seen, index::is_of_one_namespace, scoped::ScopedEndpoint},
    model::{
        hash::HashSet,
        namespace::NamespaceSample,
        socket::{Info, Kind, Socket, TimerKind},
        state::State,
    },
};

/// Retransmissions from which data counts as unanswered: the first ones happen on every path.
const SEVERAL: u8 = 3;

fn ns(ms: u32) -> u64 {
    u64::from(ms) * 1_000_000
}

/// Nanoseconds without input from the peer; 0 where there never was any, since then the duration is unknown.
pub(super) fn silent_ns(info: &Info) -> u64 {
    let heard = [info.last_data_recv_ms, info.last_ack_recv_ms];
    heard.into_iter().flatten().min().map_or(0, ns)
}

/// Whether the kernel probes by itself whether the peer is still there.
pub(super) fn is_kept_alive(socket: &Socket) -> bool {
    socket.timer.is_some_and(|timer| timer.kind == TimerKind::Keepalive)
}

/// Whether data was received within this time, or data was sent and the peer answered. An acknowledgement alone may be the
/// answer to a keepalive probe.
pub(super) fn is_in_use(idle_ns: u64, info: &Info) -> bool {
    let lately = |ms: Option<u32>| ms.is_some_and(|ms| ns(ms) < idle_ns);
    lately(info.last_data_recv_ms) || (lately(info.last_data_sent_ms) && lately(info.last_ack_recv_ms))
}

/// Nanoseconds for which data of this host has gone unanswered, at least; `None` where no data is unanswered.
///
/// The timer was set when the data was last sent, and each time to twice its length before (`tcp_retransmit_timer()`). From
/// its present length, the shorter ones before follow.
pub(super) fn unanswered_ns(socket: &Socket, info: &Info) -> Option<u64> {
    let timer = socket.timer.filter(|timer| timer.kind == TimerKind::On && timer.retransmits >= SEVERAL)?;
    let sent_ns = ns(info.last_data_sent_ms?);
    let length_ns = sent_ns.saturating_add(ns(timer.expires_ms));
    let before_ns = length_ns - (length_ns >> timer.retransmits.min(63));
    (info.unacked > 0).then(|| sent_ns.saturating_add(before_ns).min(silent_ns(info)))
}

/// The ends of connections on this host.
pub(super) struct Ends<'a> {
    sample: &'a Sample,
    ends: HashSet<ScopedEndpoint>,
}

impl<'a> Ends<'a> {
    pub(super) fn of(sample: &'a Sample) -> Self {
        let is_end = |seen: &&Seen| {
            seen.socket.kind == Kind::Full
                && seen.socket.state != State::LISTEN
                && seen.socket.flow.remote.port != 0
        };
        let ends = sample.sockets.iter().filter(is_end).map(|seen| {
            let socket = &seen.socket;
            ScopedEndpoint::new(socket.flow.netns, socket.flow.local)
        });
        Self { sample, ends: ends.collect() }
    }

    /// Whether the client's end of a connection is on this host. Only the client's address and port are compared: the client
    /// may know the service by an address that is translated.
    pub(super) fn has(&self, seen: &Seen) -> bool {
        let socket = &seen.socket;
        self.ends.contains(&ScopedEndpoint::new(socket.flow.netns, socket.flow.remote))
    }

    /// Whether the scan would have found the client's end if it existed: its address is that of one namespace, the scan has
    /// no gaps, and no namespace on the way translates addresses.
    pub(super) fn would_be_seen(&self, socket: &Socket) -> bool {
        let (netns, address) = (socket.flow.netns, socket.flow.remote.address);
        if self.sample.unseen.is_some() || self.translates(netns) {
            return false;
        }
        if self.sample.is_of_namespace(netns, address) {
            return true;
        }
        let has =
            |namespace: &NamespaceSample| namespace.addresses.iter().any(|local| local.address == address);
        let mut others = self.sample.namespaces.iter().filter(|(_, namespace)| has(namespace));
        // Two networks may use the same addresses.
        match (others.next(), others.next()) {
            (Some((netns, _)), None) => !is_of_one_namespace(address) && !self.translates(*netns),
            _ => false,
        }
    }

    /// Whether a namespace may translate addresses: it tracks connections, or it was not read.
    fn translates(&self, netns: Option<u32>) -> bool {
        let namespace = self.sample.namespaces.get(&netns);
        namespace.is_none_or(|namespace| namespace.conntrack.is_some_and(|(count, _)| count > 0))
    }
}
