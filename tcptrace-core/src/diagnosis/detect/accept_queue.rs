//! `accept-queue-overflow` and `nobody-accepts`: connections are complete, and the program does not accept them in time.
//!
//! A listener's queue holds the connections that `accept()` has not taken yet (`sk_ack_backlog`). The queue is full once it
//! is longer than `listen()` allowed (`sk_max_ack_backlog`; `sk_acceptq_is_full()`), so it takes one connection more than
//! that. Then the kernel turns away each SYN (`tcp_conn_request()`) and each ACK that would complete a connection
//! (`tcp_v4_syn_recv_sock()`), and counts them as `ListenOverflows`. This is not a count of clients: a client that sends its
//! SYN again counts several times. The counter is the namespace's. Each overflow is also one of the namespace's
//! `ListenDrops`, and one of the listener's own `sk_drops` (`tcp_listendrop()`). A client may also wait too long in a queue
//! that is not full.
//!
//! Listeners are distinguished by their cookies: each of several listeners at one address (`SO_REUSEPORT`) has its own queue
//! and drops.

mod children;
mod listener;
mod nobody;
mod overflow;
mod place;
mod who_accepts;

use std::collections::{BTreeMap, HashMap};

use children::Children;
use listener::{Listener, Queue};
use place::Place;
use who_accepts::Acceptors;

use super::{Detector, Options, Sample, bounded::Bounded, culprits::add_owners, growth::Growth, thresholds};
use crate::model::{
    finding::Finding, flow::LocalEnd, limits::Limits, socket::Kind, state::State, transition::Transition,
};

const OVERFLOWS: &str = "ListenOverflows";
const DROPS: &str = "ListenDrops";
const EMBRYONIC: &str = "EmbryonicRsts";

pub(super) struct AcceptQueue {
    overflow: thresholds::AcceptQueue,
    nobody: thresholds::NobodyAccepts,
    /// Listeners by cookie.
    listeners: Bounded<u64, Listener>,
    children: Children,
    acceptors: Acceptors,
    growth: Growth,
    /// `ListenOverflows` of each namespace, and the last scan that found more of them than the scan before.
    overflowed: HashMap<Option<u32>, (u64, Option<u64>)>,
    limits: BTreeMap<Option<u32>, Limits>,
    /// The first and the last scan, nanoseconds.
    scans: Option<(u64, u64)>,
}

impl AcceptQueue {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            overflow: options.thresholds.accept_queue_overflow,
            nobody: options.thresholds.nobody_accepts,
            listeners: Bounded::default(),
            children: Children::default(),
            acceptors: Acceptors::default(),
            growth: Growth::default(),
            overflowed: HashMap::new(),
            limits: BTreeMap::new(),
            scans: None,
        }
    }

    fn now_ns(&self) -> u64 {
        self.scans.map_or(0, |(_, last_ns)| last_ns)
    }

    /// The listeners at one end that the last scan found.
    fn at(&self, end: LocalEnd) -> impl Iterator<Item = &Listener> {
        let now_ns = self.now_ns();
        let listeners = self.listeners.iter().map(|(_, listener)| listener);
        listeners.filter(move |listener| listener.seen_ns == now_ns && listener.end == Some(end))
    }

    fn place<'a>(&'a self, cookie: u64, listener: &'a Listener, counts: &Counts) -> Option<Place<'a>> {
        let end = listener.end?;
        let LocalEnd { netns, end: address } = end;
        let sockets = counts.get(&end).copied().unwrap_or_default();
        let pids = |listener: &Listener| listener.owners.iter().map(|who| who.pid).collect::<Vec<_>>();
        let own = pids(listener);
        // Another socket at this end is open in the same processes: nginx, for example, has all its sockets open in all its
        // workers.
        let is_shared = sockets.0 > 1
            && self.at(end).filter(|other| pids(other).iter().any(|pid| own.contains(pid))).count() > 1;
        let owners = self.acceptors.in_order(netns, address.port, &listener.owners, is_shared);
        let blocker = owners.first().and_then(|who| self.acceptors.blocker(who.pid));
        let limits = self.limits.get(&netns);
        Some(Place { listener, cookie, netns, address, sockets, owners, blocker, limits })
    }

    /// The number of sockets at each end: now, and during the whole watch.
    fn counts(&self) -> Counts {
        let mut counts = Counts::new();
        for (_, listener) in self.listeners.iter() {
            if let Some(end) = listener.end {
                let (now, all) = counts.entry(end).or_default();
                *now += usize::from(listener.seen_ns == self.now_ns());
                *all += 1;
            }
        }
        counts
    }
}

type Counts = HashMap<LocalEnd, (usize, usize)>;

/// The listeners of a scan, by cookie.
fn queues(sample: &Sample) -> HashMap<u64, Queue> {
    let mut queues: HashMap<u64, Queue> = HashMap::new();
    for seen in &sample.sockets {
        let socket = &seen.socket;
        if (socket.state, socket.kind) != (State::LISTEN, Kind::Full) {
            continue;
        }
        let queue = queues.entry(socket.cookie).or_insert_with(|| Queue {
            end: seen.local_end(),
            owners: Vec::new(),
            waiting: (0, 0),
            drops: None,
        });
        add_owners(&mut queue.owners, &seen.owners);
        queue.waiting = queue.waiting.max((socket.recv_queue, socket.send_queue));
        queue.drops = queue.drops.max(socket.drops);
    }
    queues
}

impl Detector for AcceptQueue {
    fn transition(&mut self, transition: &Transition) {
        self.acceptors.transition(transition);
    }

    fn sample(&mut self, sample: &Sample) {
        let now_ns = sample.ktime_ns;
        for name in [OVERFLOWS, DROPS, EMBRYONIC] {
            self.growth.note(sample, name);
        }
        for netns in sample.namespaces.keys() {
            let count = self.growth.of(*netns, OVERFLOWS).by();
            let (before, scan_ns) = self.overflowed.entry(*netns).or_default();
            if count > *before {
                (*before, *scan_ns) = (count, Some(now_ns));
            }
        }
        self.limits = sample.namespaces.iter().map(|(netns, namespace)| (*netns, namespace.limits)).collect();
        self.acceptors.sample(sample);
        self.children.sample(sample);
        let queues = queues(sample);
        self.listeners.retain(|cookie, listener| queues.contains_key(cookie) || listener.is_worth_keeping());
        for (cookie, queue) in queues {
            let Some(listener) = self.listeners.entry(cookie) else { continue };
            let is_new = listener.scans == 0 && self.scans.is_some();
            listener.note(now_ns, queue, is_new, &self.acceptors);
        }
        self.scans = Some((self.scans.map_or(now_ns, |(first_ns, _)| first_ns), now_ns));
    }

    fn left_out(&self) -> u64 {
        self.listeners.left_out() + self.acceptors.left_out()
    }

    fn findings(&self) -> Vec<Finding> {
        let counts = self.counts();
        let of = |(cookie, listener): (&u64, &Listener)| {
            let Some(place) = self.place(*cookie, listener, &counts) else { return [None, None] };
            [self.overflow(&place), self.nobody(&place)]
        };
        self.listeners.iter().flat_map(of).flatten().collect()
    }
}
