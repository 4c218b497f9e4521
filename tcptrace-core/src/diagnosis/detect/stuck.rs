//! `fin-wait1-stuck`, `fin-wait2-stuck`, `last-ack-stuck`, `closing-pileup`: connections that have begun to close and do
//! not end.
//!
//! FIN_WAIT1, CLOSING and LAST_ACK wait for an acknowledgement. That takes a round trip (RFC 9293, 3.6) once all data has
//! left: these states begin at `close()`, however much data is still to be sent. FIN_WAIT2 waits for the peer's FIN. The
//! kernel ends it after `tcp_fin_timeout`, but only once no process has the socket open.

mod finding;

use std::collections::BTreeMap;

use super::{
    Detector, Options, Sample, Seen,
    culprits::{Culprits, nanoseconds},
    descriptors::Descriptors,
    growth::Growth,
    owes::{awaits_an_answer, owes_an_answer},
    thresholds,
};
use crate::model::{
    finding::Finding,
    namespace::NamespaceSample,
    socket::{Kind, TimerKind},
    state::State,
};

const KINDS: [(State, &str); 4] = [
    (State::FIN_WAIT1, "fin-wait1-stuck"),
    (State::FIN_WAIT2, "fin-wait2-stuck"),
    (State::LAST_ACK, "last-ack-stuck"),
    (State::CLOSING, "closing-pileup"),
];

/// Connections that the kernel gave up: without an acknowledgement, and because of lack of memory, for example at one orphan
/// too many.
const ABORTS: [&str; 2] = ["TCPAbortOnTimeout", "TCPAbortOnMemory"];

/// Seconds after which a remote server is unlikely to answer any more.
const ANSWER_S: u64 = 600;

pub(super) struct Stuck {
    thresholds: thresholds::Stuck,
    growth: Growth,
    /// The piles at the last scan.
    last: BTreeMap<Pile, Piled>,
    orphans: BTreeMap<Option<u32>, Orphans>,
}

/// The key of a pile: a namespace, a position in [`KINDS`], and the place of the other ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pile {
    netns: Option<u32>,
    kind: usize,
    others: Others,
}

/// The place of the other ends of connections.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Others {
    /// Not on this host, as far as the scan shows.
    Elsewhere,
    /// At an address of this host, but not seen.
    Unseen,
    /// On this host.
    Here,
    /// Nowhere, although their listener is on this host. The listener had no capacity when the handshake ended, and the
    /// client still takes the connection for established.
    Nowhere,
}

#[derive(Default)]
struct Piled {
    count: u64,
    oldest_ns: u64,
    /// Sockets that wait for nothing any more: their peers owe them no answer.
    sure: u64,
    /// Sockets that no process has open.
    orphans: u64,
    /// Sockets whose segments are not acknowledged.
    unanswered: u64,
    /// Sockets whose peer's window is closed.
    closed_window: u64,
    culprits: Culprits,
    /// The processes that have the other ends open.
    others: Culprits,
    /// Cookies of the other ends, or of the listeners that do not have them.
    rests_on: Vec<u64>,
}

/// Sockets that no process has open, and their limit.
#[derive(Clone, Copy)]
struct Orphans {
    count: u64,
    most: u64,
}

impl Stuck {
    pub(super) fn new(options: &Options) -> Self {
        let thresholds = options.thresholds.stuck;
        Self { thresholds, growth: Growth::default(), last: BTreeMap::new(), orphans: BTreeMap::new() }
    }

    fn is_stuck(&self, seen: &Seen, namespace: Option<&NamespaceSample>) -> bool {
        let socket = &seen.socket;
        let age_ns = socket.age_at_least_ns.unwrap_or(0).min(standstill_ns(seen));
        if socket.kind != Kind::Full {
            return false;
        }
        if socket.state != State::FIN_WAIT2 {
            return age_ns >= nanoseconds(self.thresholds.age_s);
        }
        // A socket that no process has open ends by itself.
        socket.inode.is_some() && age_ns >= self.fin_wait2_ns(namespace)
    }

    /// The time in FIN_WAIT2 from which a socket counts as stuck, nanoseconds. `tcp_fin_timeout` is about sockets that no
    /// process has open. A program that has its socket open may wait longer, so a short timeout is raised to a minimum.
    #[expect(clippy::cast_precision_loss, reason = "no threshold need be exact")]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "more than there can be is never reached"
    )]
    fn fin_wait2_ns(&self, namespace: Option<&NamespaceSample>) -> u64 {
        let fin_timeout_s = namespace.map_or(60, |namespace| namespace.limits.fin_timeout_s);
        let ns = nanoseconds(fin_timeout_s) as f64 * self.thresholds.fin_timeouts;
        (ns as u64).max(nanoseconds(self.thresholds.fin_wait2_s))
    }

    /// The sum over all piles of the same kind in a namespace, whatever the place of the other ends.
    fn count(&self, pile: Pile, of: impl Fn(&Piled) -> u64) -> u64 {
        let alike =
            self.last.iter().filter(|(other, _)| (other.netns, other.kind) == (pile.netns, pile.kind));
        alike.map(|(_, piled)| of(piled)).sum()
    }

    /// The piles that are reported.
    fn piles(&self) -> impl Iterator<Item = (Pile, &Piled)> {
        let piles = self.last.iter().map(|(pile, piled)| (*pile, piled));
        piles.filter(|(pile, _)| self.count(*pile, |piled| piled.count) >= self.thresholds.count)
    }

    /// Whether a socket in FIN_WAIT2 waits for an answer that may still come. A remote end cannot be checked: it gets
    /// [`ANSWER_S`], unless the waiting process has nearly no descriptors left.
    fn waits_for_an_answer(sample: &Sample, seen: &Seen, other: Option<&Seen>) -> bool {
        if seen.socket.state != State::FIN_WAIT2 {
            return false;
        }
        if let Some(other) = other {
            return owes_an_answer(sample, other);
        }
        let conditions = seen.owners.iter().filter_map(|owner| sample.processes.get(&owner.pid));
        let runs_out = conditions.filter_map(Descriptors::of).any(Descriptors::run_out);
        awaits_an_answer(seen) && standstill_ns(seen) < nanoseconds(ANSWER_S) && !runs_out
    }
}

/// Nanoseconds since the connection last made progress; the maximum where that is unknown.
fn standstill_ns(seen: &Seen) -> u64 {
    let Some(info) = seen.socket.info else { return u64::MAX };
    let timer = seen.socket.timer.map(|timer| (timer.kind, timer.retransmits));
    let since = match (seen.socket.state, timer) {
        (State::FIN_WAIT2, _) => info.last_data_recv_ms,
        // Window probes are acknowledged as well, and carry no data.
        (_, Some((TimerKind::Persist, _))) => info.last_data_sent_ms,
        // The peer's own FIN, when sent again, is an acknowledgement without progress.
        (_, Some((TimerKind::On, 3..))) => return u64::MAX,
        _ => info.last_ack_recv_ms,
    };
    // Scans show whether data moves. For data that is sent again, the kernel's times show only that it is sent.
    since.map_or(u64::MAX, |ms| u64::from(ms) * 1_000_000).max(seen.still_ns.unwrap_or(0))
}

impl Detector for Stuck {
    fn sample(&mut self, sample: &Sample) {
        for name in ABORTS {
            self.growth.note(sample, name);
        }
        let orphans = |(netns, namespace): (&Option<u32>, &NamespaceSample)| {
            let orphans = Orphans { count: namespace.orphans?, most: namespace.limits.max_orphans? };
            Some((*netns, orphans))
        };
        self.orphans = sample.namespaces.iter().filter_map(orphans).collect();
        self.last.clear();
        for seen in &sample.sockets {
            let Some(kind) = KINDS.iter().position(|(state, _)| *state == seen.socket.state) else {
                continue;
            };
            let netns = seen.socket.flow.netns;
            if !self.is_stuck(seen, sample.namespaces.get(&netns)) {
                continue;
            }
            let other = sample.other_end(&seen.socket);
            let listeners = match other {
                Some(_) => Vec::new(),
                None => sample.listeners_of_destination(netns, seen.socket.flow.remote),
            };
            let others = match (other, listeners.is_empty()) {
                (Some(_), _) => Others::Here,
                (None, false) => Others::Nowhere,
                (None, true) if sample.is_here(netns, seen.socket.flow.remote.address) => Others::Unseen,
                (None, true) => Others::Elsewhere,
            };
            let may_wait = Self::waits_for_an_answer(sample, seen, other);
            let piled = self.last.entry(Pile { netns, kind, others }).or_default();
            piled.count += 1;
            piled.sure += u64::from(!may_wait);
            piled.orphans += u64::from(seen.socket.inode.is_none());
            piled.oldest_ns = piled.oldest_ns.max(seen.socket.age_at_least_ns.unwrap_or(0));
            let timer = seen.socket.timer;
            piled.unanswered +=
                u64::from(timer.is_some_and(|timer| timer.kind == TimerKind::On && timer.retransmits > 0));
            piled.closed_window += u64::from(seen.has_closed_window());
            piled.culprits.add(seen, false);
            if let Some(other) = other {
                piled.others.add(other, false);
                piled.rests_on.push(other.socket.cookie);
            }
            piled.rests_on.extend(listeners.iter().map(|listener| listener.socket.cookie));
        }
    }

    fn findings(&self) -> Vec<Finding> {
        self.piles().map(|(pile, piled)| self.finding(pile, piled)).collect()
    }
}
