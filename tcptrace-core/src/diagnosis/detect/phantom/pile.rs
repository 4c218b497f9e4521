//! The silent connections of one listener, and the findings about them.

use std::{
    cmp::Reverse,
    collections::HashSet,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use super::Listener;
use crate::{
    diagnosis::detect::{
        Seen,
        culprits::{Culprits, many, seconds, share, ss_host},
        thresholds,
    },
    model::{
        evidence::EvidenceValue,
        finding::{Confidence, Finding, Harm, Severity},
        flow::Endpoint,
    },
};

const ID: &str = "phantom-established";

#[derive(Default)]
pub(super) struct Pile {
    /// All connections of the listener.
    pub(super) established: u64,
    unanswered: u64,
    unanswered_bytes: u64,
    without_end: u64,
    left: u64,
    gone: Group,
    /// Connections of which only the silence is known.
    idle: Group,
}

/// Connections of the same kind.
#[derive(Default)]
struct Group {
    count: u64,
    address: Option<IpAddr>,
    /// The longest silence of a connection, nanoseconds, and the remote end of that connection; among equals, the least end.
    quietest: Option<(u64, Reverse<Endpoint>)>,
    peers: HashSet<IpAddr>,
    culprits: Culprits,
}

impl Group {
    fn add(&mut self, seen: &Seen, silent_ns: u64) {
        let socket = &seen.socket;
        self.count += 1;
        self.address = Some(
            self.address.map_or(socket.flow.local.address, |address| address.min(socket.flow.local.address)),
        );
        self.quietest = self.quietest.max(Some((silent_ns, Reverse(socket.flow.remote))));
        self.peers.insert(socket.flow.remote.address);
        self.culprits.add(seen, false);
    }
}

impl Pile {
    /// Adds a connection whose data is not acknowledged.
    pub(super) fn unanswered(&mut self, seen: &Seen, silent_ns: u64) {
        self.unanswered += 1;
        self.unanswered_bytes += u64::from(seen.socket.send_queue);
        self.gone.add(seen, silent_ns);
    }

    /// Adds a connection whose other end should be on this host, and is not.
    pub(super) fn without_end(&mut self, seen: &Seen, silent_ns: u64) {
        self.without_end += 1;
        self.gone.add(seen, silent_ns);
    }

    /// Adds a connection whose client has come back on another one, as it does each time.
    pub(super) fn left(&mut self, seen: &Seen, silent_ns: u64) {
        self.left += 1;
        self.gone.add(seen, silent_ns);
    }

    /// Adds a connection that is silent, and whose client has others in use.
    pub(super) fn idle(&mut self, seen: &Seen, silent_ns: u64) {
        self.idle.add(seen, silent_ns);
    }

    pub(super) fn finding(&self, listener: Listener, thresholds: &thresholds::Phantom) -> Option<Finding> {
        let is_proven = self.without_end + self.left >= thresholds.count
            || (self.unanswered >= thresholds.count
                && share(self.unanswered, self.established) >= thresholds.share);
        if is_proven {
            return Some(self.of_gone(listener));
        }
        (self.gone.count + self.idle.count >= thresholds.count).then(|| self.of_idle(listener))
    }

    fn of_gone(&self, listener: Listener) -> Finding {
        let gone = &self.gone;
        let address = end(gone.address, listener);
        let parts = [
            (self.unanswered, "data on {} is not acknowledged"),
            (self.without_end, "the other end of {} does not exist"),
            (self.left, "the clients of {} have come back on other connections"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| what.replace("{}", &count.to_string())).collect();
        let summary = format!(
            "{} to {address} {} for clients that are gone: {}",
            many(gone.count, "connection"),
            if gone.count == 1 { "is held" } else { "are held" },
            parts.join(", "),
        );
        let confidence = if self.unanswered + self.without_end >= self.left {
            Confidence::HIGH
        } else {
            Confidence::medium("data that the server sends and nobody acknowledges, or asking the client")
        };
        let harm = if self.unanswered > 0 {
            "connections held for clients that are gone, some with data that is lost"
        } else {
            "connections held for clients that are gone"
        };
        let finding = Finding::new(ID, confidence, summary)
            .harms(Severity::Warning, Harm::new(gone.count, harm, format!("the server on {address}")));
        self.advise(finding, listener, gone)
    }

    fn of_idle(&self, listener: Listener) -> Finding {
        // Proven connections that are too few for a warning are idle as well.
        let group = if self.idle.count == 0 { &self.gone } else { &self.idle };
        let address = end(group.address, listener);
        let (them, quietest) = if group.count == 1 { ("it", "") } else { ("them", ", on the quietest") };
        let quietest_ns = group.quietest.map_or(0, |(silent_ns, _)| silent_ns);
        let summary = format!(
            "{} to {address} {} idle, or held for clients that are gone: nothing came on {them}{quietest} for {}",
            many(group.count, "connection"),
            if group.count == 1 { "is" } else { "are" },
            seconds(quietest_ns),
        );
        let confidence =
            Confidence::medium("data that the server sends and nobody acknowledges, or asking the client");
        self.advise(Finding::new(ID, confidence, summary), listener, group)
    }

    fn advise(&self, finding: Finding, (netns, lport): Listener, group: &Group) -> Finding {
        let quietest_ns = group.quietest.map_or(0, |(silent_ns, _)| silent_ns);
        // A filter by less than both ends would also end connections in use.
        let end_it = group.quietest.map(|(_, Reverse(peer))| {
            format!("ss -tK dst {} dport = :{} sport = :{lport}", ss_host(peer.address), peer.port)
        });
        let finding = finding
            .about_in(netns, format_args!("port {lport}"))
            .because("connections of this listener", self.established)
            .because("with data that nobody acknowledges", self.unanswered)
            .because("data that nobody acknowledges", EvidenceValue::Bytes(self.unanswered_bytes))
            .because("whose other end would be on this host, and is not there", self.without_end)
            .because("whose clients come back one connection at a time", self.left)
            .because("silent, and nothing else known, of clients with others in use", self.idle.count)
            .because("longest silence", Duration::from_nanos(quietest_ns))
            .because("clients", group.peers.len())
            .then(
                "See them: lastrcv is the silence in milliseconds",
                Some(format!("ss -tinpo state established sport = :{lport}")),
            )
            .then(
                "Let the program set SO_KEEPALIVE (TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT) or TCP_USER_TIMEOUT",
                None,
            );
        let finding = if finding.harm.is_some() {
            finding.then("End the quietest, by both its ends; repeat it for the others", end_it)
        } else {
            finding
        };
        let finding = finding
            .not("idle connections that are kept alive: the kernel finds out by itself")
            .not("a pool, a proxy or a NAT, which has several connections in use")
            .not("a program that ends idle connections by itself");
        group.culprits.name(finding)
    }
}

fn end(address: Option<IpAddr>, (_, lport): Listener) -> Endpoint {
    Endpoint::new(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), lport)
}
