//! `port-exhaustion`, `time-wait-exhaustion`: no port is left for new connections, or soon none will be.
//!
//! Towards one remote end, a local address has only the ports of `net.ipv4.ip_local_port_range`. When all are taken,
//! `connect()` fails with `EADDRNOTAVAIL`. Open connections take ports, and so do connections in TIME_WAIT: the side that
//! closes first keeps both ends for 60 seconds (RFC 9293, 3.6.1; `TCP_TIMEWAIT_LEN`). Beyond `net.ipv4.tcp_max_tw_buckets`
//! the kernel ends these early.

mod advice;
mod buckets;
mod rate;
mod route;

use std::cmp::Reverse;

use super::{Detector, Options, Sample, bounded::Bounded, culprits::share, thresholds};
use crate::model::{
    close::Cause,
    finding::Finding,
    hash::{HashMap, HashSet},
    limits::Limits,
    state::State,
    transition::Transition,
    who::Who,
};
use buckets::Buckets;
use route::{Failed, Holders, Ports, Route, Used};

pub(super) struct LocalPorts {
    thresholds: thresholds::TimeWait,
    /// The ports of each route, at the scan that found most of them.
    used: Bounded<Route, Used>,
    /// The holders of the ports, for routes that are reported.
    holders: Bounded<Route, Holders>,
    /// Calls of `connect()` that found no port.
    failed: Bounded<Route, Failed>,
    limits: HashMap<Option<u32>, Limits>,
    buckets: Buckets,
}

impl LocalPorts {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            thresholds: options.thresholds.time_wait_exhaustion,
            used: Bounded::default(),
            holders: Bounded::default(),
            failed: Bounded::default(),
            limits: HashMap::default(),
            buckets: Buckets::default(),
        }
    }

    fn limits(&self, netns: Option<u32>) -> Limits {
        self.limits.get(&netns).copied().unwrap_or_default()
    }

    fn is_reused(&self, route: &Route) -> bool {
        self.limits(route.netns).reuses_time_wait(route.is_loopback()) == Some(true)
    }

    /// Whether a route uses enough ports to be reported.
    fn are_many(&self, route: &Route, used: &Used) -> bool {
        share(used.all, self.limits(route.netns).port_count()) >= self.thresholds.ports
    }

    fn of_route(&self, route: &Route) -> Option<Finding> {
        let used = self.used.get(route).copied().unwrap_or_default();
        let failed = self.failed.get(route);
        let are_many = self.are_many(route, &used);
        (are_many || failed.is_some()).then(|| {
            let limits = self.limits(route.netns);
            let thresholds::TimeWait { ports: least, full, .. } = self.thresholds;
            let holders = self.holders.get(route);
            Ports { limits, used, are_many, full, least, failed, holders }.finding(route)
        })
    }

    /// Counts the ports in use towards each remote end, and keeps the maximum.
    fn count(&mut self, sample: &Sample) {
        let listens = sample.sockets.iter().filter(|seen| seen.socket.state == State::LISTEN);
        let listening: HashSet<(Option<u32>, u16)> =
            listens.map(|seen| seen.socket.flow.local_port()).collect();
        let mut now: HashMap<Route, Used> = HashMap::default();
        for seen in &sample.sockets {
            let socket = &seen.socket;
            let (first, last) = self.limits(socket.flow.netns).ports;
            // The local port of an incoming connection is that of a listener.
            let is_ours = !listening.contains(&socket.flow.local_port());
            if is_ours && (first..=last).contains(&socket.flow.local.port) {
                let used = now.entry(Route::of(&socket.flow)).or_default();
                used.all += 1;
                used.waiting += u64::from(socket.state == State::TIME_WAIT);
            }
        }
        if self.used.is_full() {
            let mut used = std::mem::take(&mut self.used);
            used.drop_idle(|route, used| self.are_many(route, used) || self.failed.get(route).is_some());
            self.used = used;
        }
        self.pace(sample.ktime_ns, &now);
        let mut named: HashMap<Route, Holders> = HashMap::default();
        let mut now: Vec<(Route, Used)> = now.into_iter().collect();
        now.sort_unstable_by_key(|(_, used)| Reverse(used.all));
        for (route, used) in now {
            let matters = self.are_many(&route, &used) || self.failed.get(&route).is_some();
            if used.all == 1 && !matters && self.used.is_full() {
                // A program with very many destinations takes one port for each. Leaving these out hides nothing.
                continue;
            }
            let is_known = self.holders.get(&route).is_some();
            let is_reused = self.is_reused(&route);
            let Some(most) = self.used.entry(route) else { continue };
            let rank = |used: &Used| (used.taken(is_reused), used.all);
            let is_most = rank(&used) > rank(most);
            if is_most {
                (most.all, most.waiting) = (used.all, used.waiting);
            }
            if !most.pace.has_begun() {
                most.now = used.all;
                most.pace.note(sample.ktime_ns, used.taken(is_reused));
            }
            if matters && (is_most || !is_known) {
                named.insert(route, Holders::default());
            }
        }
        self.name(sample, named);
    }

    /// Records how many ports are taken now, also for known routes that have none any more.
    fn pace(&mut self, ktime_ns: u64, now: &HashMap<Route, Used>) {
        let limits = &self.limits;
        for (route, used) in self.used.iter_mut() {
            let limits = limits.get(&route.netns).copied().unwrap_or_default();
            let is_reused = limits.reuses_time_wait(route.is_loopback()) == Some(true);
            used.now = now.get(route).map_or(0, |now| now.all);
            used.pace.note(ktime_ns, now.get(route).map_or(0, |now| now.taken(is_reused)));
        }
    }

    /// Records the holders of the ports of these routes.
    fn name(&mut self, sample: &Sample, mut named: HashMap<Route, Holders>) {
        if named.is_empty() {
            return;
        }
        for seen in sample.sockets.iter().filter(|seen| seen.socket.state != State::LISTEN) {
            if let Some(holders) = named.get_mut(&Route::of(&seen.socket.flow)) {
                holders.add(seen);
            }
        }
        for (route, holders) in named {
            if let Some(known) = self.holders.entry(route) {
                *known = holders;
            }
        }
    }
}

impl Detector for LocalPorts {
    fn transition(&mut self, transition: &Transition) {
        let cause = transition.closing.as_ref().and_then(|closing| closing.cause);
        let flow = &transition.event.flow;
        // A socket that has a port did not search for one.
        if cause != Some(Cause::NoLocalPort) || flow.local.port != 0 {
            return;
        }
        if let Some(failed) = self.failed.entry(Route::of(flow)) {
            failed.count += 1;
            if let Some(owner) = &transition.owner {
                failed.culprits.owner(&Who::of_owner(owner));
            }
        }
    }

    fn sample(&mut self, sample: &Sample) {
        for (netns, namespace) in &sample.namespaces {
            self.limits.insert(*netns, namespace.limits);
        }
        self.buckets.sample(sample);
        self.count(sample);
    }

    fn left_out(&self) -> u64 {
        self.used.left_out() + self.holders.left_out() + self.failed.left_out()
    }

    fn findings(&self) -> Vec<Finding> {
        let failed = self.failed.iter().map(|(route, _)| route);
        let unfailed = self.used.iter().map(|(route, _)| route);
        let unfailed = unfailed.filter(|route| self.failed.get(route).is_none());
        let of_routes = failed.chain(unfailed).filter_map(|route| self.of_route(route));
        of_routes.chain(self.buckets.findings(self.thresholds.buckets, &self.limits)).collect()
    }
}
