//! `phantom-established`: connections whose client is gone without a word.
//!
//! A client that loses its power, its address or its NAT's memory sends no FIN, and without data to send the server never
//! finds out (RFC 9293, 3.8.4: keep-alives are off unless the program asks). The client comes back on another port; the
//! old connection stays ESTABLISHED. Of a client on this host the other end is seen: it has not gone while that is
//! ESTABLISHED.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    net::{IpAddr, SocketAddr},
};

use super::{
    Confidence, Detector, Finding, Harm, Options, Sample, Seen, Severity,
    culprits::{Culprits, many, nanoseconds, seconds, ss_host},
    endpoint::Endpoint,
    thresholds,
};
use crate::{
    snapshot::{Info, TimerKind},
    state::State,
};

const ID: &str = "phantom-established";

/// Namespace and port of a listener.
type Listener = (Option<u32>, u16);

pub(super) struct Phantom {
    thresholds: thresholds::Phantom,
    /// Cookies at the first look: what is not there has begun during the watch.
    first: Option<HashSet<u64>>,
    last: HashMap<Listener, Pile>,
}

#[derive(Default)]
struct Pile {
    address: Option<IpAddr>,
    idle: u64,
    /// Nanoseconds of silence on the quietest, and its remote end; of equal ones the least end.
    quietest: Option<(u64, Reverse<SocketAddr>)>,
    retransmitting: u64,
    peers: HashSet<IpAddr>,
    /// New ones came from a client meanwhile, which a pool of idle ones would have had no need for.
    begun: bool,
    culprits: Culprits,
}

/// The connections of one peer to one listener.
#[derive(Default)]
struct OfPeer<'a> {
    /// Each with its silence in nanoseconds.
    idle: Vec<(&'a Seen, u64)>,
    /// Another one is in use.
    used: bool,
    /// One has begun during the watch, although these are there.
    begun: bool,
}

impl Phantom {
    pub(super) fn new(options: &Options) -> Self {
        Self { thresholds: options.thresholds.phantom_established, first: None, last: HashMap::new() }
    }
}

/// Nanoseconds without anything from the peer, where no keepalive will find out.
fn silent_ns(idle_s: u64, seen: &Seen, info: &Info) -> Option<u64> {
    let kept_alive = seen.socket.timer.is_some_and(|timer| timer.kind == TimerKind::Keepalive);
    let silent_ms = match (info.last_data_recv_ms, info.last_ack_recv_ms) {
        (Some(data_ms), Some(ack_ms)) => data_ms.min(ack_ms),
        // One of them never came; how long ago that is, nobody knows.
        (one, other) => one.or(other)?,
    };
    let silent_ns = u64::from(silent_ms) * 1_000_000;
    (!kept_alive && silent_ns >= nanoseconds(idle_s)).then_some(silent_ns)
}

/// Whether data came, or was sent and something answered. An acknowledgement alone may be the answer to a keepalive probe.
fn is_in_use(idle_s: u64, info: &Info) -> bool {
    let lately = |ms: Option<u32>| ms.is_some_and(|ms| u64::from(ms) * 1_000_000 < nanoseconds(idle_s));
    lately(info.last_data_recv_ms) || (lately(info.last_data_sent_ms) && lately(info.last_ack_recv_ms))
}

fn finding((netns, lport): Listener, pile: &Pile) -> Finding {
    let address = SocketAddr::new(pile.address.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)), lport);
    let quietest_ns = pile.quietest.map_or(0, |(silent_ns, _)| silent_ns);
    let summary = format!(
        "{} to {address} may be phantoms: nothing came on {} for {}, while the same {} others in use",
        many(pile.idle, "connection"),
        if pile.idle == 1 { "it" } else { "them, on the quietest" },
        seconds(quietest_ns),
        if pile.peers.len() == 1 { "client has" } else { "clients have" },
    );
    let confidence = if pile.retransmitting > 0 {
        Confidence::HIGH
    } else {
        Confidence::medium("data that the server sends and nobody acknowledges, or asking the client")
    };
    let severity = if pile.begun || pile.retransmitting > 0 { Severity::Warning } else { Severity::Info };
    // By less than both ends it would end those in use, too.
    let end_it = pile.quietest.map(|(_, Reverse(peer))| {
        format!("ss -tK dst {} dport = :{} sport = :{lport}", ss_host(peer.ip()), peer.port())
    });
    let finding = Finding::new(ID, confidence, summary);
    let finding = match severity {
        Severity::Info => finding,
        _ => finding.harms(
            severity,
            Harm::new(
                pile.idle,
                "connections held for clients that are gone",
                format!("the server on {address}"),
            ),
        ),
    };
    let finding = finding
        .about_in(netns, format_args!("port {lport}"))
        .because("silent, without keepalive", pile.idle)
        .because("longest silence", seconds(quietest_ns))
        .because("clients with others in use", pile.peers.len())
        .because("new connections of these clients during the watch", if pile.begun { "yes" } else { "no" })
        .because("sending without an answer", pile.retransmitting)
        .then("See them: lastrcv is the silence in milliseconds", Some(format!("ss -tinpo state established sport = :{lport}")))
        .then("Let the program set SO_KEEPALIVE (TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT) or TCP_USER_TIMEOUT", None)
        .then("End the quietest, by both its ends; repeat it for the others", end_it)
        .not("idle connections that are kept alive, and clients with a pool, none of whose connections is in use");
    pile.culprits.name(finding)
}

impl Detector for Phantom {
    fn sample(&mut self, sample: &Sample) {
        let listening: HashSet<Listener> = sample
            .sockets
            .iter()
            .filter(|seen| seen.socket.state == State::LISTEN)
            .map(|seen| (seen.socket.netns, seen.socket.lport))
            .collect();
        let cookies = || sample.sockets.iter().map(|seen| seen.socket.cookie).collect();
        let first = &*self.first.get_or_insert_with(cookies);
        let established = || sample.sockets.iter().filter(|seen| seen.socket.state == State::ESTABLISHED);
        // By the client's end alone: it may know the service by an address that is translated.
        let here: HashSet<Endpoint> = established()
            .map(|seen| Endpoint::new(seen.socket.netns, seen.socket.laddr, seen.socket.lport))
            .collect();
        // In an order, so that the same look names the same examples again.
        let mut peers: BTreeMap<(Listener, IpAddr), OfPeer<'_>> = BTreeMap::new();
        for seen in established() {
            let socket = &seen.socket;
            let listener = (socket.netns, socket.lport);
            let Some(info) = socket.info.filter(|_| listening.contains(&listener)) else { continue };
            let of_peer = peers.entry((listener, socket.raddr)).or_default();
            if is_in_use(self.thresholds.idle_s, &info) {
                of_peer.used = true;
                of_peer.begun |= !first.contains(&socket.cookie);
            } else if let Some(silent_ns) = silent_ns(self.thresholds.idle_s, seen, &info)
                && !here.contains(&Endpoint::new(socket.netns, socket.raddr, socket.rport))
            {
                of_peer.idle.push((seen, silent_ns));
            }
        }
        self.last.clear();
        for ((listener, peer), of_peer) in peers {
            if !of_peer.used {
                continue;
            }
            for (seen, silent_ns) in of_peer.idle {
                let pile = self.last.entry(listener).or_default();
                let laddr = seen.socket.laddr;
                pile.address = Some(pile.address.map_or(laddr, |address| address.min(laddr)));
                pile.idle += 1;
                let end = SocketAddr::new(peer, seen.socket.rport);
                pile.quietest = pile.quietest.max(Some((silent_ns, Reverse(end))));
                pile.retransmitting += u64::from(
                    seen.socket
                        .timer
                        .is_some_and(|timer| timer.kind == TimerKind::On && timer.retransmits > 2),
                );
                pile.peers.insert(peer);
                pile.begun |= of_peer.begun;
                pile.culprits.add(seen, false);
            }
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let piles = self.last.iter().filter(|(_, pile)| pile.idle >= self.thresholds.count);
        piles.map(|(listener, pile)| finding(*listener, pile)).collect()
    }
}
