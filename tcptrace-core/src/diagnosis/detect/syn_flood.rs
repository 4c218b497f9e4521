//! `syn-flood`: half-open connections accumulate, and their clients do not complete them.
//!
//! A SYN makes a request socket, which waits for the final ACK while its SYN-ACK is sent again
//! (`net.ipv4.tcp_synack_retries`; RFC 4987). Honest clients answer within a round trip, even many of them at once. A client
//! that has answered gets no second SYN-ACK, although a listener with `TCP_DEFER_ACCEPT` keeps the request until data comes
//! (`syn_ack_recalc()`). So only a request whose SYN-ACK was sent again, and which was not completed after that, is
//! unanswered.

mod pile;

use super::{
    Detector, Options, Sample,
    bounded::Bounded,
    culprits::{add_owners, many, share},
    growth::Growth,
    thresholds,
};
use crate::model::{
    evidence::EvidenceValue,
    finding::{Confidence, Finding, Harm, Severity},
    flow::LocalEnd,
    half_open::Change,
    hash::{HashMap, HashSet},
    limits::Limits,
    socket::Kind,
    state::State,
    who::Who,
};
use pile::{Pile, Waiting};

const ID: &str = "syn-flood";

/// The capacity for local ends: each may have very many sources.
const ENDS: usize = 4_096;

const COOKIES_SENT: &str = "SyncookiesSent";
const COOKIES_RETURNED: &str = "SyncookiesRecv";
const FULL_DROPS: &str = "TCPReqQFullDrop";
const DROPS: &str = "ListenDrops";
const OVERFLOWS: &str = "ListenOverflows";

/// Counters of a namespace that grow when its listeners cannot keep up. One SYN may raise several: a SYN that is dropped
/// because of a full queue is in `TCPReqQFullDrop` and in `ListenDrops`. `ListenDrops` also has those of full accept queues
/// (`ListenOverflows`).
const COUNTERS: [&str; 5] = [COOKIES_SENT, COOKIES_RETURNED, FULL_DROPS, DROPS, OVERFLOWS];

pub(super) struct SynFlood {
    thresholds: thresholds::SynFlood,
    ends: Bounded<LocalEnd, Pile, ENDS>,
    growth: Growth,
    /// The listeners at the last scan, by namespace and port.
    listeners: HashMap<(Option<u32>, u16), There>,
    /// The drops of these listeners when they were first seen; 0 where they began later.
    drops_before: HashMap<(Option<u32>, u16), u64>,
    limits: HashMap<Option<u32>, Limits>,
    has_scanned: bool,
}

/// The listeners at a local port.
#[derive(Clone, Debug, Default)]
struct There {
    owners: Vec<Who>,
    backlog: u32,
    /// SYNs and connections that the listeners dropped, where the kernel reports this.
    drops: Option<u64>,
}

impl SynFlood {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            thresholds: options.thresholds.syn_flood,
            ends: Bounded::default(),
            growth: Growth::default(),
            listeners: HashMap::default(),
            drops_before: HashMap::default(),
            limits: HashMap::default(),
            has_scanned: false,
        }
    }

    /// SYNs that found a full queue: dropped, or answered by a cookie that did not return.
    fn turned_away(&self, netns: Option<u32>, lport: u16) -> u64 {
        let grown = |name| self.growth.of(netns, name).by();
        // Without cookies, the quarter of `tcp_max_syn_backlog` that is kept for known clients makes drops of its own.
        let dropped = grown(FULL_DROPS).max(grown(DROPS).saturating_sub(grown(OVERFLOWS)));
        let there = self.listeners.get(&(netns, lport)).and_then(|there| there.drops);
        let before = self.drops_before.get(&(netns, lport)).copied().unwrap_or(0);
        // The counters are the namespace's; the listener's own drops show whether it was this listener.
        let dropped = there.map_or(dropped, |drops| dropped.min(drops.saturating_sub(before)));
        // Honest clients return their cookies within a round trip, also those of a short queue.
        let (sent, returned) = (grown(COOKIES_SENT), grown(COOKIES_RETURNED));
        let unreturned = if returned.saturating_mul(2) < sent { sent - returned } else { 0 };
        dropped.saturating_add(unreturned)
    }

    fn finding(&self, local: &LocalEnd, pile: &Pile) -> Option<Finding> {
        let LocalEnd { netns, end: address } = *local;
        let lport = address.port;
        let grown = |name| self.growth.of(netns, name);
        let unanswered = pile.unanswered(grown(OVERFLOWS).by());
        let most = pile.most.min(unanswered);
        let answered_or_not = unanswered.saturating_add(pile.completed);
        let sources = pile.culprits.peer_count();
        let There { owners, backlog, .. } = self.listeners.get(&(netns, lport)).cloned().unwrap_or_default();
        let limits = self.limits.get(&netns).copied().unwrap_or_default();
        // A short queue cannot hold as many.
        let capacity = if backlog == 0 { u64::MAX } else { limits.half_open_capacity(backlog.into()) };
        let is_flood = most >= self.thresholds.half_open.min(capacity)
            && share(unanswered, answered_or_not) >= self.thresholds.never_completed
            && sources >= self.thresholds.sources;
        if !is_flood {
            return None;
        }
        let has_more = pile.culprits.has_more_peers();
        let at_least = if has_more { "at least " } else { "" };
        let summary = format!(
            "{} from {at_least}{} pile up on {address}: of {answered_or_not}, {unanswered} did not answer",
            many(most, "half-open connection"),
            many(sources, "source"),
        );
        let confidence = if unanswered >= pile.completed {
            Confidence::HIGH
        } else {
            Confidence::medium("a longer watch: SYN-ACKs that are sent again to the same sources")
        };
        let clients = format!("clients of {address}");
        let finding = Finding::new(ID, confidence, summary);
        let finding = match self.turned_away(netns, lport) {
            0 if share(pile.most, capacity) >= self.thresholds.fill => {
                let what = format!("of {capacity} places for half-open connections taken");
                finding.harms(Severity::Warning, Harm::new(pile.most, what, clients))
            }
            0 => finding,
            turned_away => {
                let what =
                    "SYNs that found the queue full and were dropped, or got a cookie that did not return";
                finding.harms(Severity::Critical, Harm::new(turned_away, what, clients))
            }
        };
        let finding = finding
            .about_in(netns, address)
            .because("half-open at once", pile.most)
            .because("of these without an answer, at most", most)
            .because("backlog of listen()", backlog)
            .because("net.ipv4.tcp_max_syn_backlog", limits.max_syn_backlog)
            .because("net.ipv4.tcp_syncookies", limits.syncookies)
            .because("begun", pile.begun)
            .because("without an answer", unanswered)
            .because("completed", pile.completed)
            .because("given up by the kernel", pile.given_up)
            .because("SYN-ACKs sent again", pile.retransmits)
            .because(
                "different sources",
                if has_more { EvidenceValue::AtLeast(sources) } else { sources.into() },
            )
            .because("SyncookiesSent, grown by", grown(COOKIES_SENT))
            .because("SyncookiesRecv (returned), grown by", grown(COOKIES_RETURNED))
            .because("TCPReqQFullDrop, grown by", grown(FULL_DROPS))
            .because("ListenDrops, grown by", grown(DROPS))
            .because("of these ListenOverflows (full accept queues), grown by", grown(OVERFLOWS))
            .then("See them", Some(format!("ss -tan state syn-recv sport = :{lport}")));
        let finding = match limits.syncookies {
            0 => finding.then(
                "Answer by cookies once the queue is full, so that honest clients get through",
                Some("sysctl -w net.ipv4.tcp_syncookies=1".to_owned()),
            ),
            _ => finding,
        };
        let finding = finding
            .then(
                "Raise the limits",
                Some("sysctl net.ipv4.tcp_max_syn_backlog net.core.somaxconn".to_owned()),
            )
            .then("Give up sooner", Some("sysctl -w net.ipv4.tcp_synack_retries=2".to_owned()))
            .then("Sources are made up: filtering by them rarely helps; ask upstream to scrub", None)
            .not("a burst of honest clients, which complete")
            .not("clients that have answered and not sent anything yet (TCP_DEFER_ACCEPT)")
            .not("a slow accept(), where clients have answered and wait")
            .not("one client behind a bad path, which is one source");
        Some(Finding { owners, ..pile.culprits.name(finding) })
    }
}

impl Detector for SynFlood {
    fn half_open(&mut self, change: &Change) {
        let connection = &change.connection;
        let end = connection.flow.local_end();
        if let Some(pile) = self.ends.entry(end) {
            pile.change(change);
        }
    }

    fn sample(&mut self, sample: &Sample) {
        for name in COUNTERS {
            self.growth.note(sample, name);
        }
        // An end whose clients complete at once is no victim.
        self.ends.make_room(|_, pile| pile.retransmits + pile.given_up > 0);
        self.listeners.clear();
        let limits = sample.namespaces.iter().map(|(netns, namespace)| (*netns, namespace.limits));
        self.limits = limits.collect();
        let mut open: HashMap<LocalEnd, Waiting> = HashMap::default();
        let mut full: HashSet<(Option<u32>, u16)> = HashSet::default();
        for seen in &sample.sockets {
            let socket = &seen.socket;
            if socket.state == State::LISTEN {
                let there = self.listeners.entry(socket.flow.local_port()).or_default();
                add_owners(&mut there.owners, &seen.owners);
                there.backlog = there.backlog.max(socket.send_queue);
                if let Some(drops) = socket.drops {
                    there.drops = Some(there.drops.unwrap_or(0) + u64::from(drops));
                }
                if socket.recv_queue > socket.send_queue {
                    full.insert(socket.flow.local_port());
                }
            } else if socket.kind == Kind::Request {
                open.entry(seen.local_end()).or_default().add(sample, seen);
            }
        }
        for (port, there) in &self.listeners {
            let began_later = self.has_scanned;
            let before = there.drops.filter(|_| !began_later).unwrap_or(0);
            self.drops_before.entry(*port).or_insert(before);
        }
        self.drops_before.retain(|port, _| self.listeners.contains_key(port));
        self.has_scanned = true;
        self.ends.iter_mut().for_each(|(_, pile)| pile.scan(Waiting::default()));
        for (local, waiting) in open {
            let Some(pile) = self.ends.entry(local) else { continue };
            pile.scan(waiting);
        }
        if !full.is_empty() {
            let ends =
                self.ends.iter_mut().filter(|(local, _)| full.contains(&(local.netns, local.end.port)));
            ends.for_each(|(_, pile)| pile.is_full());
        }
    }

    fn left_out(&self) -> u64 {
        self.ends.left_out()
    }

    fn findings(&self) -> Vec<Finding> {
        self.ends.iter().filter_map(|(local, pile)| self.finding(local, pile)).collect()
    }
}
