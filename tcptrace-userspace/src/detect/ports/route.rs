//! The ports from one local address to one remote end: how many are used, by whom, and what is to be said of it.

use std::net::{IpAddr, SocketAddr};

use crate::{
    detect::{
        Confidence, Finding, Harm, Limits, Peer, Seen, Severity,
        culprits::{Culprits, many, ss_host},
        rank::Rank,
    },
    snapshot::Socket,
    state::State,
};

/// What a local port is chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Route {
    pub(super) netns: Option<u32>,
    pub(super) laddr: IpAddr,
    pub(super) raddr: IpAddr,
    pub(super) rport: u16,
}

impl Route {
    fn destination(&self) -> SocketAddr {
        SocketAddr::new(self.raddr, self.rport)
    }

    pub(super) fn of(socket: &Socket) -> Self {
        Self { netns: socket.netns, laddr: socket.laddr, raddr: socket.raddr, rport: socket.rport }
    }
}

/// Sockets with a port of the range, at one look.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    pub(super) all: u64,
    /// Of these in TIME_WAIT.
    pub(super) waiting: u64,
}

/// Who uses them, and in which states.
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

/// `connect()` without a port: how many, and whose.
#[derive(Default)]
pub(super) struct Failed {
    pub(super) count: u64,
    pub(super) culprits: Culprits,
}

/// All that is known of a route.
pub(super) struct Ports<'a> {
    pub(super) limits: Limits,
    pub(super) used: Used,
    /// These are so many that they are worth a word.
    pub(super) are_many: bool,
    pub(super) failed: Option<&'a Failed>,
    pub(super) holders: Option<&'a Holders>,
}

impl Ports<'_> {
    pub(super) fn finding(&self, route: &Route) -> Finding {
        let Used { all, waiting } = self.used;
        // Few of them in TIME_WAIT say nothing of what has all the others.
        let wait = self.are_many && waiting * 2 >= all;
        let finding = if wait { self.waiting(route) } else { self.open(route) };
        let what = format_args!("ports from {} to {}", route.laddr, route.destination());
        let peers = vec![Peer { address: route.raddr, port: Some(route.rport), count: all }];
        Finding { peers, ..finding.about_in(route.netns, what) }
    }

    /// Closed connections have the ports, and nobody has these open.
    fn waiting(&self, route: &Route) -> Finding {
        let (host, rport) = (ss_host(route.raddr), route.rport);
        let held = format!("are in use, {} of them in TIME_WAIT", self.used.waiting);
        let finding = self
            .begin("time-wait-exhaustion", route, &held)
            .then(
                "See how many there are",
                Some(format!("ss -tanH state time-wait dst {host} dport = :{rport} | wc -l")),
            )
            .then("Keep connections open and use them again (keep-alive, a pool): the remedy", None);
        let finding = more_ports(finding, self.limits)
            .then(
                "Take ports over that wait for over a second (needs timestamps)",
                Some("sysctl -w net.ipv4.tcp_tw_reuse=1".to_owned()),
            )
            .not("many in TIME_WAIT to different destinations, which share no ports");
        match self.failed {
            Some(failed) => failed.culprits.name(finding),
            None => finding,
        }
    }

    /// Open connections have them, or what is not seen: what is bound to a port, what a filter hides, what has ended.
    fn open(&self, route: &Route) -> Finding {
        let (host, rport, (first, last)) = (ss_host(route.raddr), route.rport, self.limits.ports);
        let states = self.holders.map(|holders| holders.states.top(3)).unwrap_or_default();
        let held = match states.first() {
            Some((state, count)) if self.are_many => format!("are in use, {count} of them in {state}"),
            _ => "were seen in use, and not what has the others".to_owned(),
        };
        let mut finding = self.begin("port-exhaustion", route, &held);
        for (state, count) in states.into_iter().filter(|(state, _)| *state != State::TIME_WAIT) {
            finding = finding.because(&format!("of these in {state}"), count);
        }
        let finding = finding
            .then("See whose they are", Some(format!("ss -tanp dst {host} dport = :{rport}")))
            .then(
                "See what has ports at all: one that is bound, or listens, is nobody else's",
                Some(format!("ss -tanp 'sport >= :{first} and sport <= :{last}'")),
            )
            .then("Let the program close what it does not need, and share fewer connections (a pool with a limit)", None);
        let finding = more_ports(finding, self.limits)
            .then("More addresses, here or there: each pair of them has ports of its own", None)
            .not("ports that wait in TIME_WAIT, after connections that are closed")
            .not("many connections to different destinations, which share ports");
        let mut culprits =
            [self.holders.map(|holders| &holders.culprits), self.failed.map(|failed| &failed.culprits)];
        if !self.are_many {
            // Who has few of them is not to blame; who found none at least asked for it.
            culprits.reverse();
        }
        match culprits.into_iter().flatten().find(|culprits| culprits.first_owner().is_some()) {
            Some(culprits) => culprits.name(finding),
            None => finding,
        }
    }

    /// What both have in common.
    fn begin(&self, id: &'static str, route: &Route, held: &str) -> Finding {
        let Used { all, waiting } = self.used;
        let ports = self.limits.port_count();
        let failed = self.failed.map_or(0, |failed| failed.count);
        let found_none =
            if failed > 0 { format!("; {} found none", many(failed, "connect()")) } else { String::new() };
        let summary = format!(
            "{all} of the {ports} ports from {} to {} {held}{found_none}",
            route.laddr,
            route.destination()
        );
        let severity = if failed > 0 { Severity::Critical } else { Severity::Warning };
        let confidence = if self.are_many {
            Confidence::HIGH
        } else {
            Confidence::medium("a look at all sockets, without filters, while it lasts")
        };
        let finding = Finding::new(id, confidence, summary)
            .harms(severity, Harm::new(failed, "calls of connect() that failed", "programs of this host"))
            .because("ports in use at most", all)
            .because("of these in TIME_WAIT", waiting)
            .because("ports that there are (ip_local_port_range)", ports)
            .because("connect() without a port (EADDRNOTAVAIL)", failed);
        match self.failed.and_then(|failed| failed.culprits.first_owner()) {
            Some(who) => finding.because("most often tried by", who),
            None => finding,
        }
    }
}

/// All ports that need no privilege.
const WIDEST: (u16, u16) = (1_024, 65_535);

/// The way to more ports, where there are more. A service that begins to listen on one of them finds it taken, unless it is
/// reserved.
fn more_ports(finding: Finding, limits: Limits) -> Finding {
    let (first, last) = limits.ports;
    if first <= WIDEST.0 && last == WIDEST.1 {
        return finding;
    }
    finding
        .then(
            "First, for more ports: reserve those that services listen on, such as NodePorts (30000-32767)",
            Some("sysctl net.ipv4.ip_local_reserved_ports".to_owned()),
        )
        .then(
            "More ports",
            Some(format!("sysctl -w net.ipv4.ip_local_port_range='{} {}'", WIDEST.0, WIDEST.1)),
        )
}
