//! `accept-queue-overflow`: connections are complete, and the program does not accept them in time.
//!
//! A listener's queue holds what `accept()` has not taken yet (`sk_ack_backlog`); once it is longer than `listen()` allowed
//! (`sk_max_ack_backlog`; `sk_acceptq_is_full()`), which is one more than that, the kernel turns away each SYN
//! (`tcp_conn_request()`) and each ACK that would complete a connection (`tcp_v4_syn_recv_sock()`), and counts them as
//! `ListenOverflows`. These are no clients: one that sends its SYN again counts several times. That counter is the
//! namespace's; each of them is also one of the listener's own `sk_drops` (`tcp_listendrop()`).

use std::{collections::HashMap, net::SocketAddr};

use super::{
    Confidence, Detector, Finding, Harm, Options, Sample, Severity, Who,
    bounded::Bounded,
    culprits::{add_owners, many, share},
    growth::Growth,
    sample::LocalEnd,
    thresholds,
};
use crate::state::State;

const ID: &str = "accept-queue-overflow";

const OVERFLOWS: &str = "ListenOverflows";

pub(super) struct AcceptQueue {
    thresholds: thresholds::AcceptQueue,
    listeners: Bounded<LocalEnd, Listener>,
    growth: Growth,
    /// There was a look: a listener that is new has begun during the watch.
    looked: bool,
}

/// The sockets at one end, at one look.
#[derive(Default)]
struct Queue {
    owners: Vec<Who>,
    /// How many wait, and how many may.
    waiting: (u32, u32),
    /// `sk_drops` of all of them; `None` where it is not known.
    drops: Option<u32>,
}

#[derive(Default)]
struct Listener {
    owners: Vec<Who>,
    backlog: u32,
    /// The longest queue that was seen, and how many looks found it full.
    longest: u32,
    full: u64,
    looks: u64,
    /// What the sockets themselves dropped, before the watch and until the last look; `None` where it is not known.
    drops: Option<(u32, u32)>,
}

impl Listener {
    /// What was dropped at it during the watch.
    fn drops(&self) -> Option<u64> {
        self.drops.map(|(before, after)| after.saturating_sub(before).into())
    }

    /// Notes where `sk_drops` stands. Of a socket that is new it begins at zero, also in the place of another one.
    fn note_drops(&mut self, drops: Option<u32>, is_new: bool) {
        let Some(drops) = drops else { return };
        let (before, after) = self.drops.unwrap_or(if is_new { (0, drops) } else { (drops, drops) });
        self.drops = Some((if drops < after { 0 } else { before }, drops));
    }
}

impl AcceptQueue {
    pub(super) fn new(options: &Options) -> Self {
        let thresholds = options.thresholds.accept_queue_overflow;
        Self { thresholds, listeners: Bounded::default(), growth: Growth::default(), looked: false }
    }

    fn finding(&self, end: &LocalEnd, listener: &Listener) -> Option<Finding> {
        let (netns, laddr, lport) = *end;
        let address = SocketAddr::new(laddr, lport);
        let of_namespace = self.growth.of(netns, OVERFLOWS);
        // A listener has no more of them than it dropped.
        let turned_away = of_namespace.by().min(listener.drops().unwrap_or(u64::MAX));
        let fill = share(listener.longest.into(), room(listener.backlog));
        let overflows = listener.full > 0 && turned_away >= self.thresholds.overflows;
        if !overflows && fill < self.thresholds.fill {
            return None;
        }
        let program = listener.owners.first().map_or_else(|| "its program".to_owned(), ToString::to_string);
        let summary = if overflows {
            format!(
                "{program} does not accept fast enough on {address}: its queue of {} was full, SYNs and ACKs turned away {}",
                listener.backlog,
                many(turned_away, "time"),
            )
        } else {
            format!(
                "{program} lets connections wait on {address}: up to {} of the {} that its queue takes",
                listener.longest,
                room(listener.backlog)
            )
        };
        let (severity, confidence) = match (overflows, listener.looks >= 3 && listener.full == listener.looks)
        {
            (true, true) => (Severity::Critical, Confidence::HIGH),
            (true, false) => (Severity::Warning, Confidence::HIGH),
            (false, true) => (
                Severity::Warning,
                Confidence::medium("SYNs and ACKs that are turned away (ListenOverflows)"),
            ),
            (false, false) => (Severity::Info, Confidence::medium("a longer watch: the queue stays full")),
        };
        let finding = Finding::new(ID, confidence, summary);
        let finding = match severity {
            Severity::Info => finding,
            _ => finding.harms(
                severity,
                Harm::new(turned_away, "SYNs and ACKs turned away", format!("clients of {address}")),
            ),
        };
        let finding = finding
            .about_in(netns, address)
            .because("queue at its longest", listener.longest)
            .because("backlog of listen()", listener.backlog)
            .because("looks that found it full", format!("{} of {}", listener.full, listener.looks))
            .because("ListenOverflows of the namespace, grown by", of_namespace);
        let finding = match listener.drops() {
            Some(drops) => finding.because("dropped at this listener", drops),
            None => finding,
        };
        let finding = finding
            .then(
                "See the queue: Recv-Q waits, Send-Q is the backlog",
                Some(format!("ss -tlnp sport = :{lport}")),
            )
            .then("Find out what the program waits for; it is what is slow", None)
            .then(
                "For bursts only: a longer backlog of listen(), and net.core.somaxconn as large",
                Some("sysctl net.core.somaxconn".to_owned()),
            )
            .not("a SYN flood: there connections are half-open, here they are complete");
        Some(Finding { owners: listener.owners.clone(), ..finding })
    }
}

/// How many connections a queue takes: a backlog of none still takes one.
fn room(backlog: u32) -> u64 {
    u64::from(backlog) + 1
}

impl Detector for AcceptQueue {
    fn sample(&mut self, sample: &Sample) {
        self.growth.note(sample, OVERFLOWS);
        // Of several sockets at one end (`SO_REUSEPORT`), the fullest.
        let mut now: HashMap<LocalEnd, Queue> = HashMap::new();
        for seen in sample.sockets.iter().filter(|seen| seen.socket.state == State::LISTEN) {
            let socket = &seen.socket;
            let queue = now.entry(seen.local_end()).or_default();
            add_owners(&mut queue.owners, &seen.owners);
            queue.waiting = queue.waiting.max((socket.recv_queue, socket.send_queue));
            if let Some(drops) = socket.drops {
                queue.drops = Some(queue.drops.unwrap_or(0).saturating_add(drops));
            }
        }
        self.listeners.drop_idle(|end, listener| now.contains_key(end) || listener.full > 0);
        for (end, Queue { owners, waiting: (length, backlog), drops }) in now {
            let Some(listener) = self.listeners.entry(end) else { continue };
            (listener.owners, listener.backlog) = (owners, backlog);
            listener.note_drops(drops, self.looked);
            listener.longest = listener.longest.max(length);
            listener.full += u64::from(u64::from(length) >= room(backlog));
            listener.looks += 1;
        }
        self.looked = true;
    }

    fn left_out(&self) -> u64 {
        self.listeners.left_out()
    }

    fn findings(&self) -> Vec<Finding> {
        self.listeners.iter().filter_map(|(end, listener)| self.finding(end, listener)).collect()
    }
}
