//! `syn-flood`: half-open connections pile up, and nobody completes them.
//!
//! A SYN makes a request socket, which waits for the final ACK while its SYN-ACK is sent again
//! (`net.ipv4.tcp_synack_retries`; RFC 4987). Honest clients complete within a round trip, also many of them at once.

use std::net::SocketAddr;

use super::{
    Confidence, Detector, Finding, Harm, Limits, Options, Sample, Severity, Who,
    bounded::Bounded,
    culprits::{Culprits, add_owners, many, share},
    growth::Growth,
    sample::LocalEnd,
    thresholds,
};
use crate::{
    half_open::{Change, End, What},
    hash::HashMap,
    snapshot::Kind,
    state::State,
};

const ID: &str = "syn-flood";

/// Local ends that are told apart: each may have very many sources.
const ENDS: usize = 4_096;

/// Of a namespace, what grows when its listeners cannot keep up. One SYN may raise several: a SYN that is dropped for a full
/// queue is in `TCPReqQFullDrop` and in `ListenDrops`, which has those of full accept queues (`ListenOverflows`) as well.
const COUNTERS: [&str; 4] = ["SyncookiesSent", "TCPReqQFullDrop", "ListenDrops", "ListenOverflows"];

pub(super) struct SynFlood {
    thresholds: thresholds::SynFlood,
    ends: Bounded<LocalEnd, Pile, ENDS>,
    growth: Growth,
    /// Listeners at the last look.
    listeners: HashMap<(Option<u32>, u16), (Vec<Who>, u32)>,
    limits: HashMap<Option<u32>, Limits>,
}

#[derive(Default)]
struct Pile {
    begun: u64,
    completed: u64,
    given_up: u64,
    retransmits: u64,
    /// Most that were open at once.
    most: u64,
    culprits: Culprits,
}

impl SynFlood {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            thresholds: options.thresholds.syn_flood,
            ends: Bounded::default(),
            growth: Growth::default(),
            listeners: HashMap::default(),
            limits: HashMap::default(),
        }
    }

    fn finding(&self, local: &LocalEnd, pile: &Pile) -> Option<Finding> {
        let (netns, laddr, lport) = *local;
        let never = pile.begun.saturating_sub(pile.completed);
        let share = share(never, pile.begun);
        let sources = pile.culprits.peer_count();
        let (owners, backlog) = self.listeners.get(&(netns, lport)).cloned().unwrap_or_default();
        let limits = self.limits.get(&netns).copied().unwrap_or_default();
        // A short queue has no room for as many.
        let room = if backlog == 0 { u64::MAX } else { limits.half_open_room(backlog.into()) };
        let is_flood = pile.most >= self.thresholds.half_open.min(room)
            && share >= self.thresholds.never_completed
            && sources >= self.thresholds.sources
            && pile.retransmits + pile.given_up > 0;
        if !is_flood {
            return None;
        }
        let [cookies, full_drops, drops, overflows] = COUNTERS.map(|name| self.growth.of(netns, name));
        // Without cookies, the quarter of `tcp_max_syn_backlog` that is kept for known clients makes drops of its own.
        let is_turned_away = cookies.by() > 0 || full_drops.by() > 0 || drops.by() > overflows.by();
        let severity = if is_turned_away { Severity::Critical } else { Severity::Warning };
        let address = SocketAddr::new(laddr, lport);
        let at_least = if pile.culprits.has_more_peers() { "at least " } else { "" };
        let summary = format!(
            "{} from {at_least}{} pile up on {address}, and {} of {} were never completed",
            many(pile.most, "half-open connection"),
            many(sources, "source"),
            never,
            pile.begun
        );
        let confidence = if pile.retransmits >= pile.completed {
            Confidence::HIGH
        } else {
            Confidence::medium("a longer watch: SYN-ACKs that are sent again to the same sources")
        };
        let finding = Finding::new(ID, confidence, summary)
            .harms(
                severity,
                Harm::new(never, "half-open connections that take room", format!("clients of {address}")),
            )
            .about_in(netns, address)
            .because("half-open at once", pile.most)
            .because("backlog of listen()", backlog)
            .because("net.ipv4.tcp_max_syn_backlog", limits.max_syn_backlog)
            .because("net.ipv4.tcp_syncookies", limits.syncookies)
            .because("begun", pile.begun)
            .because("completed", pile.completed)
            .because("given up by the kernel", pile.given_up)
            .because("SYN-ACKs sent again", pile.retransmits)
            .because("different sources", format_args!("{at_least}{sources}"))
            .because("SyncookiesSent, grown by", cookies)
            .because("TCPReqQFullDrop, grown by", full_drops)
            .because("ListenDrops, grown by", drops)
            .because("of these ListenOverflows (full accept queues), grown by", overflows)
            .then("See them", Some(format!("ss -tan state syn-recv sport = :{lport}")));
        let finding = match limits.syncookies {
            0 => finding.then(
                "Answer by cookies once the queue is full, so that honest clients get through",
                Some("sysctl -w net.ipv4.tcp_syncookies=1".to_owned()),
            ),
            _ => finding,
        };
        let finding = finding
            .then("Room for more", Some("sysctl net.ipv4.tcp_max_syn_backlog net.core.somaxconn".to_owned()))
            .then("Give up sooner", Some("sysctl -w net.ipv4.tcp_synack_retries=2".to_owned()))
            .then("Sources are made up: filtering by them rarely helps; ask upstream to scrub", None)
            .not("a burst of honest clients, which complete")
            .not("a slow accept(), where connections are complete and wait")
            .not("one client behind a bad path, which is one source");
        Some(Finding { owners, ..pile.culprits.name(finding) })
    }
}

impl Detector for SynFlood {
    fn half_open(&mut self, change: &Change) {
        let connection = &change.connection;
        let end = (connection.netns, connection.laddr, connection.lport);
        let Some(pile) = self.ends.entry(end) else { return };
        pile.most = pile.most.max(change.open);
        match change.what {
            What::Begin(_) => {
                pile.begun += 1;
                pile.culprits.peer(connection.raddr, None);
            }
            What::Retransmit => pile.retransmits += 1,
            What::End(End::Completed) => pile.completed += 1,
            What::End(_) => pile.given_up += 1,
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
        let mut open: HashMap<LocalEnd, u64> = HashMap::default();
        for seen in &sample.sockets {
            let socket = &seen.socket;
            if socket.state == State::LISTEN {
                let (owners, backlog) = self.listeners.entry((socket.netns, socket.lport)).or_default();
                add_owners(owners, &seen.owners);
                *backlog = (*backlog).max(socket.send_queue);
            } else if socket.kind == Kind::Request {
                *open.entry(seen.local_end()).or_default() += 1;
            }
        }
        for (local, count) in open {
            let Some(pile) = self.ends.entry(local) else { continue };
            pile.most = pile.most.max(count);
        }
    }

    fn left_out(&self) -> u64 {
        self.ends.left_out()
    }

    fn findings(&self) -> Vec<Finding> {
        self.ends.iter().filter_map(|(local, pile)| self.finding(local, pile)).collect()
    }
}
