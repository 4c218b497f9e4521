//! `time-wait-exhaustion`: so many connections wait in TIME_WAIT that there is no port left for new ones.
//!
//! The side that closes first keeps both ends for 60 seconds (RFC 9293, 3.6.1; `TCP_TIMEWAIT_LEN`). Towards one remote end
//! an address has only the ports of `net.ipv4.ip_local_port_range`; when all are taken, `connect()` fails with
//! `EADDRNOTAVAIL`. Beyond `net.ipv4.tcp_max_tw_buckets` the kernel ends them early.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use super::{
    Confidence, Detector, Finding, Limits, Options, Peer, Sample, Severity, Who,
    culprits::{Culprits, many, share},
    growth::Growth,
    thresholds,
};
use crate::{close::Cause, event::Event, record::Transition, state::State};

const ID: &str = "time-wait-exhaustion";

const OVERFLOWS: &str = "TCPTimeWaitOverflow";

/// Destinations that are told apart.
const TOLD_APART: usize = 65_536;

/// Namespace, local address, remote address and port: what a local port is chosen for.
type Route = (Option<u32>, IpAddr, IpAddr, u16);

pub(super) struct TimeWait {
    thresholds: thresholds::TimeWait,
    /// At the look with most of them: in TIME_WAIT, and all.
    routes: HashMap<Route, (u64, u64)>,
    limits: HashMap<Option<u32>, Limits>,
    /// In TIME_WAIT at the last look, by namespace.
    waiting: HashMap<Option<u32>, u64>,
    growth: Growth,
    /// `connect()` that found no port, by namespace and where to.
    failed: HashMap<(Option<u32>, IpAddr, u16), Failed>,
}

/// How many, and whose.
#[derive(Default)]
struct Failed {
    count: u64,
    culprits: Culprits,
}

impl TimeWait {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            thresholds: options.thresholds.time_wait_exhaustion,
            routes: HashMap::new(),
            limits: HashMap::new(),
            waiting: HashMap::new(),
            growth: Growth::default(),
            failed: HashMap::new(),
        }
    }

    fn of_ports(&self, route: &Route, (waiting, all): (u64, u64)) -> Option<Finding> {
        let (netns, laddr, raddr, rport) = *route;
        let destination = SocketAddr::new(raddr, rport);
        let none = Failed::default();
        let Failed { count: failed, culprits } = self.failed.get(&(netns, raddr, rport)).unwrap_or(&none);
        let failed = *failed;
        let ports = self.limits.get(&netns).copied().unwrap_or_default().port_count();
        let share = share(all, ports);
        let mostly_waiting = waiting * 2 >= all;
        if (share < self.thresholds.ports && failed == 0) || !mostly_waiting {
            return None;
        }
        let summary = format!(
            "{all} of the {ports} ports from {laddr} to {destination} are in use, {waiting} of them in TIME_WAIT{}",
            if failed > 0 { format!("; {} found none", many(failed, "connect()")) } else { String::new() },
        );
        let severity = if failed > 0 { Severity::Critical } else { Severity::Warning };
        let finding = Finding::new(ID, severity, Confidence::HIGH, summary)
            .because("ports in use at most", all)
            .because("of these in TIME_WAIT", waiting)
            .because("ports that there are (ip_local_port_range)", ports)
            .because("connect() without a port (EADDRNOTAVAIL)", failed)
            .then(
                "See how many there are",
                Some(format!("ss -tanH state time-wait dst {raddr} dport = :{rport} | wc -l")),
            )
            .then("Keep connections open and use them again (keep-alive, a pool): the remedy", None)
            .then("More ports", Some("sysctl -w net.ipv4.ip_local_port_range='1024 65535'".to_owned()))
            .then(
                "Take ports over that wait for over a second (needs timestamps)",
                Some("sysctl -w net.ipv4.tcp_tw_reuse=1".to_owned()),
            )
            .not("many in TIME_WAIT to different destinations, which share no ports");
        let peers = vec![Peer { address: raddr, port: Some(rport), count: all }];
        Some(Finding { peers, ..culprits.name(finding) })
    }

    fn of_buckets(&self, netns: Option<u32>, waiting: u64) -> Option<Finding> {
        let limit = self.limits.get(&netns)?.max_tw_buckets;
        let ended_early = self.growth.of(netns, OVERFLOWS);
        if ended_early.by() == 0 && share(waiting, limit) < self.thresholds.buckets {
            return None;
        }
        let summary = format!("{waiting} sockets are in TIME_WAIT, of {limit} that the host allows");
        let finding = Finding::new(ID, Severity::Warning, Confidence::HIGH, summary)
            .because("in TIME_WAIT", waiting)
            .because("net.ipv4.tcp_max_tw_buckets", limit)
            .because("ended early (TCPTimeWaitOverflow), grown by", ended_early)
            .then(
                "Find out who closes so many connections",
                Some("tcptrace sockets --state TIME_WAIT --by peer".to_owned()),
            )
            .then(
                "Allow more; each takes some hundred bytes",
                Some("sysctl net.ipv4.tcp_max_tw_buckets".to_owned()),
            );
        Some(finding)
    }
}

impl Detector for TimeWait {
    fn transition(&mut self, transition: &Transition) {
        let cause = transition.closing.as_ref().and_then(|closing| closing.cause);
        if cause == Some(Cause::NoLocalPort) {
            let Event { netns, raddr, rport, .. } = transition.event;
            let end = (netns, raddr, rport);
            if self.failed.len() >= TOLD_APART && !self.failed.contains_key(&end) {
                return;
            }
            let failed = self.failed.entry(end).or_default();
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
        self.growth.note(sample, OVERFLOWS);
        self.waiting.clear();
        let mut now: HashMap<Route, (u64, u64)> = HashMap::new();
        for seen in &sample.sockets {
            let socket = &seen.socket;
            let waits = u64::from(socket.state == State::TIME_WAIT);
            *self.waiting.entry(socket.netns).or_default() += waits;
            let (first, last) = self.limits.get(&socket.netns).copied().unwrap_or_default().ports;
            // Of a connection from elsewhere, the port is that of a listener.
            if socket.state != State::LISTEN && (first..=last).contains(&socket.lport) {
                let route = now.entry((socket.netns, socket.laddr, socket.raddr, socket.rport)).or_default();
                *route = (route.0 + waits, route.1 + 1);
            }
        }
        for (route, (waiting, all)) in now {
            let most = self.routes.entry(route).or_default();
            if all > most.1 {
                *most = (waiting, all);
            }
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let ports = self.routes.iter().filter_map(|(route, counts)| self.of_ports(route, *counts));
        let buckets = self.waiting.iter().filter_map(|(netns, waiting)| self.of_buckets(*netns, *waiting));
        ports.chain(buckets).collect()
    }
}
