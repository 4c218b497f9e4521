//! `fin-wait1-stuck`, `fin-wait2-stuck`, `last-ack-stuck`, `closing-pileup`: connections that have begun to close and do
//! not end.
//!
//! FIN_WAIT1, CLOSING and LAST_ACK wait for an acknowledgement, which takes a round trip (RFC 9293, 3.6) once all data has
//! left: they begin at `close()`, however much of it is still to be sent. FIN_WAIT2 waits for the peer's FIN; the kernel ends
//! it after `tcp_fin_timeout`, but only once no process has the socket open.

use std::collections::BTreeMap;

use super::{
    Confidence, Detector, Finding, Harm, NamespaceSample, Options, Sample, Seen, Severity,
    culprits::{Culprits, many, nanoseconds, seconds, share, the_oldest},
    thresholds,
};
use crate::{
    snapshot::{Kind, TimerKind},
    state::State,
};

const KINDS: [(State, &str); 4] = [
    (State::FIN_WAIT1, "fin-wait1-stuck"),
    (State::FIN_WAIT2, "fin-wait2-stuck"),
    (State::LAST_ACK, "last-ack-stuck"),
    (State::CLOSING, "closing-pileup"),
];

pub(super) struct Stuck {
    thresholds: thresholds::Stuck,
    /// At the last look, by namespace and place in [`KINDS`].
    last: BTreeMap<(Option<u32>, usize), Pile>,
}

#[derive(Default)]
struct Pile {
    count: u64,
    oldest_ns: u64,
    /// Whose segments are not acknowledged.
    unanswered: u64,
    /// Whose peer's window is closed.
    closed_window: u64,
    culprits: Culprits,
}

impl Stuck {
    pub(super) fn new(options: &Options) -> Self {
        Self { thresholds: options.thresholds.stuck, last: BTreeMap::new() }
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
        // One that nobody has open ends by itself.
        let fin_timeout_s = namespace.map_or(60, |namespace| namespace.limits.fin_timeout_s);
        socket.inode.is_some() && share(age_ns, nanoseconds(fin_timeout_s)) >= self.thresholds.fin_timeouts
    }
}

/// Nanoseconds since the connection last got on; the most that there are where nothing tells.
fn standstill_ns(seen: &Seen) -> u64 {
    let Some(info) = seen.socket.info else { return u64::MAX };
    let timer = seen.socket.timer.map(|timer| (timer.kind, timer.retransmits));
    let since = match (seen.socket.state, timer) {
        (State::FIN_WAIT2, _) => info.last_data_recv_ms,
        // Probes of the window are acknowledged, too, and carry no data.
        (_, Some((TimerKind::Persist, _))) => info.last_data_sent_ms,
        // The peer's own FIN, sent again, is an acknowledgement that gets on with nothing.
        (_, Some((TimerKind::On, 3..))) => return u64::MAX,
        _ => info.last_ack_recv_ms,
    };
    since.map_or(u64::MAX, |ms| u64::from(ms) * 1_000_000)
}

fn finding(netns: Option<u32>, state: State, id: &'static str, pile: &Pile) -> Finding {
    let name = state.name().unwrap_or_default();
    let filter = name.to_lowercase().replace('_', "-").replace("wait1", "wait-1").replace("wait2", "wait-2");
    let held_by_peer = state == State::FIN_WAIT2;
    let why = if held_by_peer {
        "this side has closed its half, the peer has not, and a program here keeps the socket open"
    } else if pile.closed_window > pile.count / 2 {
        "the peer's window is closed, so that the FIN cannot leave"
    } else {
        "the peer does not acknowledge the FIN"
    };
    let summary = format!(
        "{} in {name}, {}: {why}",
        many(pile.count, "connection"),
        the_oldest(pile.count, pile.oldest_ns)
    );
    let confidence = if held_by_peer || pile.unanswered + pile.closed_window > pile.count / 2 {
        Confidence::HIGH
    } else {
        Confidence::medium("a longer watch: retransmissions without an answer")
    };
    let finding = Finding::new(id, confidence, summary)
        .harms(Severity::Warning, Harm::new(pile.count, "connections that do not end", "this host"))
        .about_in(netns, "closing connections")
        .because("stuck", pile.count)
        .because("oldest, at least", seconds(pile.oldest_ns))
        .because("remote ends", pile.culprits.peer_count())
        .because("sent again without an answer", pile.unanswered)
        .because("closed window of the peer", pile.closed_window)
        .then("See them with their timers", Some(format!("ss -tanpo state {filter}")));
    let finding = if held_by_peer {
        finding
            .then("On the peer, look for CLOSE_WAIT: its program does not close", Some("ss -tanp state close-wait".to_owned()))
            .then("Here, let the program close the socket rather than only shut it down; then net.ipv4.tcp_fin_timeout ends it", None)
            .not("a half-closed connection on which the peer still sends")
    } else {
        finding
            .then(
                "Look whether the peer is still there and the path is open",
                pile.culprits.first_peer().map(|peer| format!("ping -c 3 {peer}")),
            )
            .then(
                "They end by themselves after net.ipv4.tcp_orphan_retries retransmissions",
                Some("sysctl net.ipv4.tcp_orphan_retries".to_owned()),
            )
            .not("closing as usual, which takes a round trip")
            .not("data that is still sent after close(), and acknowledged")
    };
    pile.culprits.name(finding)
}

impl Detector for Stuck {
    fn sample(&mut self, sample: &Sample) {
        self.last.clear();
        for seen in &sample.sockets {
            let Some(kind) = KINDS.iter().position(|(state, _)| *state == seen.socket.state) else {
                continue;
            };
            if !self.is_stuck(seen, sample.namespaces.get(&seen.socket.netns)) {
                continue;
            }
            let pile = self.last.entry((seen.socket.netns, kind)).or_default();
            pile.count += 1;
            pile.oldest_ns = pile.oldest_ns.max(seen.socket.age_at_least_ns.unwrap_or(0));
            let timer = seen.socket.timer;
            pile.unanswered +=
                u64::from(timer.is_some_and(|timer| timer.kind == TimerKind::On && timer.retransmits > 0));
            pile.closed_window += u64::from(timer.is_some_and(|timer| timer.kind == TimerKind::Persist));
            pile.culprits.add(seen, false);
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let piles = self.last.iter().filter(|(_, pile)| pile.count >= self.thresholds.count);
        let of = |(&(netns, kind), pile): (&(Option<u32>, usize), &Pile)| {
            let (state, id) = KINDS[kind];
            finding(netns, state, id, pile)
        };
        piles.map(of).collect()
    }
}
