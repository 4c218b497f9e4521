//! `phantom-established`: connections that a server holds for clients that are gone.
//!
//! A client that loses its power, its address or its NAT's memory sends no FIN. A server that has no data to send never
//! notices (RFC 9293, 3.8.4: keep-alive is off unless the program asks for it). Silence alone proves nothing: pools,
//! proxies, NATs and keep-alive have idle connections. A phantom needs evidence: data of the server that is not
//! acknowledged; another end that should be on this host and is not; or a client that comes back again and again, one
//! connection at a time.

mod clients;
mod evidence;
mod pile;

use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
};

use super::{Detector, Options, Sample, Seen, culprits::nanoseconds, thresholds};
use crate::model::{finding::Finding, socket::Info, state::State};
use clients::Clients;
use evidence::{Ends, is_in_use, is_kept_alive, silent_ns, unanswered_ns};
use pile::Pile;

/// Namespace and port of a listener.
type Listener = (Option<u32>, u16);

pub(super) struct Phantom {
    thresholds: thresholds::Phantom,
    /// Whether only the sockets of one process are scanned: then the other end of a connection may exist although it is not
    /// found.
    is_of_one_process: bool,
    clients: Clients,
    /// Cookies of connections whose other end the last scan did not find.
    without_end: HashSet<u64>,
    last: BTreeMap<Listener, Pile>,
}

/// The connections of one client to one listener.
#[derive(Default)]
struct OfClient<'a> {
    all: Vec<(&'a Seen, Info)>,
    /// Whether one of them is in use.
    used: bool,
    /// Whether the other end of one of them was found.
    has_end: bool,
}

impl Phantom {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            thresholds: options.thresholds.phantom_established,
            is_of_one_process: options.of_one_process,
            clients: Clients::default(),
            without_end: HashSet::new(),
            last: BTreeMap::new(),
        }
    }

    /// Adds the evidence of a client's connections to its listener's pile. Returns the cookies of those without another end.
    fn judge(
        &self,
        key: (Listener, IpAddr),
        client: &OfClient<'_>,
        ends: &Ends<'_>,
        pile: &mut Pile,
    ) -> Vec<u64> {
        let mut without_end = Vec::new();
        pile.established += client.all.len() as u64;
        let comes_back = self.clients.comes_back(&key, self.thresholds.returns);
        for (seen, info) in &client.all {
            let socket = &seen.socket;
            let silent = silent_ns(info);
            if let Some(unanswered) = unanswered_ns(socket, info)
                && unanswered >= nanoseconds(self.thresholds.unanswered_s)
            {
                pile.unanswered(seen, silent);
                continue;
            }
            if is_kept_alive(socket) || silent < nanoseconds(self.thresholds.idle_s) {
                continue;
            }
            if ends.has(seen) {
                continue;
            }
            if !self.is_of_one_process && client.has_end && ends.would_be_seen(socket) {
                without_end.push(socket.cookie);
                // A scan takes time between reading the two ends of a connection.
                if self.without_end.contains(&socket.cookie) {
                    pile.without_end(seen, silent);
                    continue;
                }
            }
            if comes_back && !self.clients.is_latest(&key, socket.cookie) {
                pile.left(seen, silent);
            } else if client.used {
                pile.idle(seen, silent);
            }
        }
        without_end
    }
}

impl Detector for Phantom {
    fn sample(&mut self, sample: &Sample) {
        let listening: HashSet<Listener> = sample
            .sockets
            .iter()
            .filter(|seen| seen.socket.state == State::LISTEN)
            .map(|seen| seen.socket.flow.local_port())
            .collect();
        let ends = Ends::of(sample);
        // Sorted, so that the same scan always names the same examples.
        let mut clients: BTreeMap<(Listener, IpAddr), OfClient<'_>> = BTreeMap::new();
        for seen in sample.sockets.iter().filter(|seen| seen.socket.state == State::ESTABLISHED) {
            let socket = &seen.socket;
            let listener = socket.flow.local_port();
            let Some(info) = socket.info.filter(|_| listening.contains(&listener)) else { continue };
            let client = clients.entry((listener, socket.flow.remote.address)).or_default();
            client.used |= is_in_use(nanoseconds(self.thresholds.idle_s), &info);
            client.has_end |= ends.has(seen);
            client.all.push((seen, info));
        }
        let heard = clients.iter().map(|(key, client)| {
            let heard = client
                .all
                .iter()
                .map(|(seen, info)| (seen.socket.cookie, sample.ktime_ns.saturating_sub(silent_ns(info))));
            (*key, heard.collect())
        });
        self.clients.scan((sample.ktime_ns, sample.took_ns), nanoseconds(self.thresholds.idle_s), heard);
        let (mut piles, mut without_end) = (BTreeMap::new(), HashSet::new());
        for (key, client) in &clients {
            let pile = piles.entry(key.0).or_default();
            without_end.extend(self.judge(*key, client, &ends, pile));
        }
        (self.last, self.without_end) = (piles, without_end);
    }

    fn left_out(&self) -> u64 {
        self.clients.left_out()
    }

    fn findings(&self) -> Vec<Finding> {
        let of = |(listener, pile): (&Listener, &Pile)| pile.finding(*listener, &self.thresholds);
        self.last.iter().filter_map(of).collect()
    }
}
