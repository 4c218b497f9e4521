//! `unreachable-destination`, `connection-refused`, `outbound-scan`: attempts to connect that fail.
//!
//! A SYN that nobody answers is sent again for two minutes (`net.ipv4.tcp_syn_retries`), so that attempts which have not
//! failed yet are evidence as well, once their SYN was sent again. Where nobody listens, a reset comes at once (RFC 9293,
//! 3.5.2). Few destinations again and again are a service that is gone; many destinations of one process are a scan.

use std::net::IpAddr;

use super::{
    Confidence, Detector, Finding, Options, Peer, Sample, Severity, Who,
    culprits::{Culprits, many, share},
    end::End,
    rank::Rank,
    thresholds,
};
use crate::{
    close::Cause,
    hash::{HashMap, HashSet},
    record::Transition,
    state::State,
};

/// A SYN is sent again after a second (`TCP_TIMEOUT_INIT`).
const SYN_AGAIN_NS: u64 = 1_000_000_000;

/// Destinations that are told apart, of each process and of all.
const TOLD_APART: usize = 65_536;

pub(super) struct Connects {
    failed: thresholds::FailedConnects,
    scan: thresholds::OutboundScan,
    destinations: HashMap<End, Attempts>,
    processes: HashMap<u32, Process>,
    /// Of the last look: attempts whose SYN was sent again.
    waiting: HashMap<End, Attempts>,
}

#[derive(Default)]
struct Attempts {
    connected: u64,
    /// Without an answer, or with an ICMP error.
    unreachable: u64,
    refused: u64,
    causes: Rank<&'static str>,
    culprits: Culprits,
}

/// What a process tries.
#[derive(Clone)]
struct Process {
    who: Who,
    destinations: HashSet<End>,
    connected: u64,
    failed: u64,
    /// Attempts whose SYN was sent again, at the last look.
    waiting: u64,
}

impl Process {
    fn new(who: Who) -> Self {
        Self { who, destinations: HashSet::default(), connected: 0, failed: 0, waiting: 0 }
    }
}

impl Connects {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            failed: options.thresholds.failed_connects,
            scan: options.thresholds.outbound_scan,
            destinations: HashMap::default(),
            processes: HashMap::default(),
            waiting: HashMap::default(),
        }
    }

    /// Processes that knock everywhere: by the attempts that ended, and by those that wait for an answer.
    fn scanners(&self) -> Vec<Process> {
        let mut all = self.processes.clone();
        for (destination, attempts) in &self.waiting {
            let Some(who) = attempts.culprits.first_owner() else { continue };
            let process = all.entry(who.pid).or_insert_with(|| Process::new(who.clone()));
            process.waiting += 1;
            process.destinations.insert(*destination);
        }
        let is_scan = |scanner: &Process| {
            let failed = scanner.failed + scanner.waiting;
            let share = share(failed, failed + scanner.connected);
            scanner.destinations.len() as u64 >= self.scan.destinations && share >= self.scan.failed
        };
        all.into_values().filter(is_scan).collect()
    }

    fn scan(scanner: &Process) -> Finding {
        let Process { who, destinations, connected, failed, waiting } = scanner;
        let (mut addresses, mut ports): (Rank<IpAddr>, Rank<u16>) = Default::default();
        for destination in destinations {
            addresses.add(destination.address);
            ports.add(destination.port);
        }
        let of_ports = ports.distinct() > addresses.distinct();
        let many_what = if of_ports {
            format!("{} of {}", many(ports.distinct(), "port"), many(addresses.distinct(), "host"))
        } else {
            format!("{} on {}", many(addresses.distinct(), "host"), many(ports.distinct(), "port"))
        };
        let summary = format!(
            "{who} tries {many_what}, and {} of {} attempts fail",
            failed + waiting,
            failed + waiting + connected
        );
        let finding = Finding::new(
            "outbound-scan",
            Severity::Critical,
            Confidence::medium("what the program is for"),
            summary,
        )
        .because("different destinations", destinations.len())
        .because("hosts", addresses.distinct())
        .because("ports", ports.distinct())
        .because("failed", failed)
        .because("without an answer so far", waiting)
        .because("connected", connected)
        .then(
            "Look what it is, and who started it",
            Some(format!("ls -l /proc/{0}/exe; ps -o pid,ppid,user,lstart,args {0}", who.pid)),
        )
        .then("Stop it, and keep it for examination", Some(format!("kill -STOP {}", who.pid)))
        .not("a service that is gone, which is few destinations again and again");
        let peers = addresses.top(5).into_iter().map(|(address, count)| Peer { address, port: None, count });
        Finding { owners: vec![who.clone()], peers: peers.collect(), ..finding }
    }

    fn failures(&self, scanned: &HashSet<End>) -> Vec<Finding> {
        let none = Attempts::default();
        let all: HashSet<End> = self.destinations.keys().chain(self.waiting.keys()).copied().collect();
        let mut findings = Vec::new();
        for destination in all.difference(scanned) {
            let attempts = self.destinations.get(destination).unwrap_or(&none);
            let waiting = self.waiting.get(destination);
            let unanswered = attempts.unreachable + waiting.map_or(0, |waiting| waiting.unreachable);
            let all = attempts.connected + attempts.refused + unanswered;
            let is_too_many =
                |count: u64| count >= self.failed.count && share(count, all) >= self.failed.share;
            if is_too_many(unanswered) {
                findings.push(unreachable(*destination, attempts, waiting, (unanswered, all)));
            }
            if is_too_many(attempts.refused) {
                findings.push(refused(*destination, attempts, all));
            }
        }
        findings
    }
}

fn unreachable(
    end: End,
    attempts: &Attempts,
    waiting: Option<&Attempts>,
    (failed, all): (u64, u64),
) -> Finding {
    let End { address, port, .. } = end;
    let destination = end.address_and_port();
    let waits = waiting.map_or(0, |waiting| waiting.unreachable);
    let summary =
        format!("{destination} cannot be reached: {failed} of {} get no answer", many(all, "attempt"));
    let mut finding = Finding::new("unreachable-destination", Severity::Warning, Confidence::HIGH, summary)
        .because("attempts", all)
        .because("connected", attempts.connected)
        .because("still waiting, with the SYN sent again", waits);
    for (cause, count) in attempts.causes.top(5) {
        finding = finding.because(cause, count);
    }
    let finding = finding
        .then(
            "Look for the route, and for who answers",
            Some(format!("ip route get {address}; ping -c 3 {address}")),
        )
        .then(
            "Look whether SYNs leave, and whether anything comes back",
            Some(format!("tcpdump -ni any host {address} and port {port} -c 10")),
        )
        .then("A filter that drops without a word, on the way or there, looks the same", None)
        .not("a service that is stopped: its host would refuse at once");
    let culprits = if attempts.culprits.first_owner().is_some() {
        &attempts.culprits
    } else {
        waiting.map_or(&attempts.culprits, |waiting| &waiting.culprits)
    };
    named(culprits, finding, end, failed, waiting)
}

fn refused(end: End, attempts: &Attempts, all: u64) -> Finding {
    let (destination, port) = (end.address_and_port(), end.port);
    let count = attempts.refused;
    let summary = format!("{destination} refuses: {count} of {}", many(all, "attempt"));
    let finding = Finding::new("connection-refused", Severity::Warning, Confidence::HIGH, summary)
        .because("attempts", all)
        .because("refused", count)
        .because("connected", attempts.connected)
        .then("On that host, look whether anything listens there", Some(format!("ss -tlnp sport = :{port}")))
        .then("Start the service, or correct the address that the program has", None)
        .not("an unreachable host, from which nothing comes back");
    named(&attempts.culprits, finding, end, count, None)
}

/// Names the processes that try, and the destination.
fn named(
    culprits: &Culprits,
    finding: Finding,
    End { address, port, .. }: End,
    count: u64,
    waiting: Option<&Attempts>,
) -> Finding {
    let samples = waiting.map_or(culprits, |waiting| &waiting.culprits).samples().to_vec();
    Finding { peers: vec![Peer { address, port: Some(port), count }], samples, ..culprits.name(finding) }
}

impl Detector for Connects {
    fn transition(&mut self, transition: &Transition) {
        let event = &transition.event;
        if event.old_state != State::SYN_SENT {
            return;
        }
        let cause = transition.closing.as_ref().and_then(|closing| closing.cause);
        // A program that races several addresses gives up on the slower ones at once.
        let waited = transition.in_old_state_ns.is_some_and(|ns| ns >= SYN_AGAIN_NS);
        let (connected, refused, unreachable) = match (event.new_state, cause) {
            (State::ESTABLISHED, _) => (1, 0, 0),
            (State::CLOSE, Some(Cause::Refused)) => (0, 1, 0),
            (State::CLOSE, Some(Cause::ConnectTimeout | Cause::HostUnreachable | Cause::NetUnreachable)) => {
                (0, 0, 1)
            }
            (State::CLOSE, Some(Cause::ConnectCancelled)) if waited => (0, 0, 1),
            _ => return,
        };
        let destination = End::new(event.netns, event.raddr, event.rport);
        let who = transition.owner.as_deref().map(Who::of_owner);
        if self.destinations.len() < TOLD_APART || self.destinations.contains_key(&destination) {
            let attempts = self.destinations.entry(destination).or_default();
            attempts.connected += connected;
            attempts.refused += refused;
            attempts.unreachable += unreachable;
            if let Some(cause) = cause {
                attempts.causes.add(cause.name());
            }
            if let Some(who) = &who {
                attempts.culprits.owner(who);
            }
        }
        let Some(who) = who else { return };
        let process = self.processes.entry(who.pid).or_insert_with(|| Process::new(who));
        process.connected += connected;
        process.failed += refused + unreachable;
        if process.destinations.len() < TOLD_APART {
            process.destinations.insert(destination);
        }
    }

    fn sample(&mut self, sample: &Sample) {
        self.waiting.clear();
        let waits = |seen: &&super::Seen| {
            let again = seen.socket.timer.is_some_and(|timer| timer.retransmits > 0);
            seen.socket.state == State::SYN_SENT && again
        };
        for seen in sample.sockets.iter().filter(waits) {
            let socket = &seen.socket;
            let destination = End::new(socket.netns, socket.raddr, socket.rport);
            let attempts = self.waiting.entry(destination).or_default();
            attempts.unreachable += 1;
            attempts.culprits.add(seen, true);
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let scanners = self.scanners();
        let scanned = scanners.iter().flat_map(|scanner| &scanner.destinations).copied().collect();
        let scans = scanners.iter().map(Self::scan);
        scans.chain(self.failures(&scanned)).collect()
    }
}
