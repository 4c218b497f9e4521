//! The ports from one local address to one remote end: their number, their holders, and the findings about them.

use std::net::IpAddr;

use super::{
    advice::{more_ports, reuse},
    rate::Rate,
};
use crate::{
    diagnosis::detect::{
        Seen,
        culprits::{Culprits, many, seconds, share, ss_host},
        rank::Rank,
    },
    model::{
        finding::{Confidence, Finding, Harm, Peer, Severity},
        flow::{Endpoint, Flow},
        limits::Limits,
        state::State,
    },
};

/// The route for which the kernel chooses a local port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Route {
    pub(super) netns: Option<u32>,
    pub(super) laddr: IpAddr,
    pub(super) remote: Endpoint,
}

impl Route {
    /// Whether the route is of the loopback, by the kernel's rule for `tcp_tw_reuse` (`tcp_twsk_unique()`).
    pub(super) fn is_loopback(&self) -> bool {
        self.laddr.is_loopback() || self.remote.address.is_loopback()
    }

    pub(super) const fn of(flow: &Flow) -> Self {
        Self { netns: flow.netns, laddr: flow.local.address, remote: flow.remote }
    }
}

/// Sockets with a port of the range, at the scan that found most of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    pub(super) all: u64,
    /// Sockets in TIME_WAIT, of `all`.
    pub(super) waiting: u64,
    /// All sockets at the last scan.
    pub(super) now: u64,
    pub(super) pace: Rate,
}

impl Used {
    /// Ports that a new connection cannot have.
    pub(super) fn taken(&self, is_reused: bool) -> u64 {
        if is_reused { self.all - self.waiting } else { self.all }
    }

    /// The verb of the summary: a peak may be over.
    fn are_in_use(&self) -> &'static str {
        if self.now < self.all { "were in use at most" } else { "are in use" }
    }

    /// The part of a peak that is left, in words.
    fn left(&self) -> String {
        match self.now {
            now if now >= self.all => String::new(),
            0 => "; none is at the last scan".to_owned(),
            1 => "; 1 is at the last scan".to_owned(),
            now => format!("; {now} are at the last scan"),
        }
    }
}

/// The processes that use the ports, and the states of the sockets.
#[derive(Default)]
pub(super) struct Holders {
    states: Rank<State>,
    culprits: Culprits,
}

impl Holders {
    pub(super) fn add(&mut self, seen: &Seen) {
        self.states.add(seen.socket.state);
        self.culprits.add(seen, true);
    }
}

/// Calls of `connect()` that found no port: their number and their callers.
#[derive(Default)]
pub(super) struct Failed {
    pub(super) count: u64,
    pub(super) culprits: Culprits,
}

/// All facts about a route.
pub(super) struct Ports<'a> {
    pub(super) limits: Limits,
    pub(super) used: Used,
    /// Whether enough ports are in use to report them.
    pub(super) are_many: bool,
    /// Share of the ports from which there is a warning although they do not grow.
    pub(super) full: f64,
    /// Share of the ports from which they are reported.
    pub(super) least: f64,
    pub(super) failed: Option<&'a Failed>,
    pub(super) holders: Option<&'a Holders>,
}

/// The longest time until exhaustion that counts, nanoseconds: a limit that is reached later may never be.
const SOON_NS: u64 = 3_600_000_000_000;

impl Ports<'_> {
    pub(super) fn finding(&self, route: &Route) -> Finding {
        let Used { all, waiting, .. } = self.used;
        // A few sockets in TIME_WAIT do not explain what has all the other ports.
        let wait = self.are_many && waiting * 2 >= all;
        let finding = if wait { self.waiting(route) } else { self.open(route) };
        let what = format_args!("ports from {} to {}", route.laddr, route.remote);
        let peers = vec![Peer { address: route.remote.address, port: Some(route.remote.port), count: all }];
        Finding { peers, ..finding.about_in(route.netns, what) }
    }

    /// The finding where closed connections have the ports, and no process has these open.
    fn waiting(&self, route: &Route) -> Finding {
        let (host, rport) = (ss_host(route.remote.address), route.remote.port);
        let held = format!("{}, {} of them in TIME_WAIT", self.used.are_in_use(), self.used.waiting);
        let finding = self
            .begin("time-wait-exhaustion", route, &held)
            .then(
                "See how many there are",
                Some(format!("ss -tanH state time-wait dst {host} dport = :{rport} | wc -l")),
            )
            .then("Keep connections open and use them again (keep-alive, a pool): the remedy", None);
        let finding = reuse(more_ports(finding, self.limits), self.limits, route.is_loopback())
            .not("many in TIME_WAIT to different destinations, which share no ports")
            .not("ports that the kernel takes over from TIME_WAIT after a second (tcp_tw_reuse, timestamps)");
        match self.failed {
            Some(failed) => failed.culprits.name(finding),
            None => finding,
        }
    }

    /// The finding where open connections have the ports, or sockets outside of the scan: bound to a port, hidden by a
    /// filter, or ended.
    fn open(&self, route: &Route) -> Finding {
        let (host, rport, (first, last)) =
            (ss_host(route.remote.address), route.remote.port, self.limits.ports);
        let states = self.holders.map(|holders| holders.states.top(3)).unwrap_or_default();
        let held = match states.first() {
            Some((state, count)) if self.are_many => {
                format!("{}, {count} of them in {state}", self.used.are_in_use())
            }
            _ => "were seen in use, and not what has the others".to_owned(),
        };
        let mut finding = self.begin("port-exhaustion", route, &held);
        for (state, count) in states.into_iter().filter(|(state, _)| *state != State::TIME_WAIT) {
            finding = finding.because(&format!("of these in {state}"), count);
        }
        let finding =
            finding.then("See whose they are", Some(format!("ss -tanp dst {host} dport = :{rport}"))).then(
                "See what has ports at all: one that is bound, or listens, is nobody else's",
                Some(format!("ss -tanp 'sport >= :{first} and sport <= :{last}'")),
            );
        let finding = if self.are_many {
            let finding = finding.then(
                "Let the program close what it does not need, and share fewer connections (a pool with a limit)",
                None,
            );
            more_ports(finding, self.limits)
                .then("More addresses, here or there: each pair of them has ports of its own", None)
        } else {
            // A wider range does not help a program that has its own range.
            finding.then(
                "See whether the program has a range of its own, which may be short: IP_LOCAL_PORT_RANGE of setsockopt()",
                None,
            )
        };
        let finding = finding
            .not("ports that wait in TIME_WAIT, after connections that are closed")
            .not("many connections to different destinations, which share ports")
            .not("a socket that is bound to a port, which finds its own one taken");
        let mut culprits =
            [self.holders.map(|holders| &holders.culprits), self.failed.map(|failed| &failed.culprits)];
        if !self.are_many {
            // A process with few of the ports is not to blame. A process that found none at least asked for one.
            culprits.reverse();
        }
        match culprits.into_iter().flatten().find(|culprits| culprits.first_owner().is_some()) {
            Some(culprits) => culprits.name(finding),
            None => finding,
        }
    }

    /// The parts that both findings share.
    fn begin(&self, id: &'static str, route: &Route, held: &str) -> Finding {
        let Used { all, waiting, now, pace } = self.used;
        let ports = self.limits.port_count();
        let failed = self.failed.map_or(0, |failed| failed.count);
        let is_reused = self.limits.reuses_time_wait(route.is_loopback());
        let taken = self.used.taken(is_reused == Some(true));
        // Ports that soon run out must be nearly all taken now.
        let taken_now = pace.now();
        let are_many_now = self.are_many && share(taken_now, ports) >= self.least;
        let ends_in_ns = pace.ends_in_ns(ports).filter(|ns| are_many_now && *ns <= SOON_NS);
        let more = match (failed, ends_in_ns) {
            (0, _) if share(taken, ports) < self.least => {
                "; the kernel takes those in TIME_WAIT over after a second".to_owned()
            }
            (0, Some(ns)) => format!("; as fast as they grow, none is left in {}", seconds(ns)),
            (0, None) => String::new(),
            (failed, _) => format!("; {} found none", many(failed, "connect()")),
        };
        let summary = format!(
            "{all} of the {ports} ports from {} to {} {held}{}{more}",
            route.laddr,
            route.remote,
            if self.are_many { self.used.left() } else { String::new() },
        );
        let confidence = if self.are_many {
            Confidence::HIGH
        } else {
            Confidence::medium("a scan of all sockets, without filters, while it lasts")
        };
        let finding = Finding::new(id, confidence, summary);
        let will_fail = ends_in_ns.is_some() || share(taken_now, ports) >= self.full;
        let who = self.failed.and_then(|failed| failed.culprits.first_owner());
        let finding = if failed > 0 {
            let whom = who.map_or_else(|| "programs of this host".to_owned(), ToString::to_string);
            finding.harms(Severity::Critical, Harm::new(failed, "calls of connect() that failed", whom))
        } else if are_many_now && will_fail {
            let what = format!("ports that new connections cannot have, of {ports},");
            let whom = format!("programs of this host that connect to {}", route.remote);
            finding.harms(Severity::Warning, Harm::new(taken_now, what, whom))
        } else {
            finding
        };
        let finding = finding
            .because("ports in use at most", all)
            .because("of these in TIME_WAIT", waiting)
            .because("ports in use at the last scan", now)
            .because("ports that there are (ip_local_port_range, without reserved ones)", ports)
            .because("growth while watched", pace.growth())
            .because("net.ipv4.tcp_tw_reuse", self.limits.tw_reuse)
            .because("net.ipv4.tcp_timestamps", self.limits.timestamps)
            .because("connect() without a port (EADDRNOTAVAIL)", failed);
        match who {
            Some(who) => finding.because("most often tried by", who.to_string()),
            None => finding,
        }
    }
}
