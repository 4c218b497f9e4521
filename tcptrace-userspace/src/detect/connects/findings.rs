//! What is to be said of attempts that fail.

use std::net::IpAddr;

use super::{outcomes::Outcomes, processes::Process};
use crate::{
    detect::{
        Confidence, Finding, Harm, Peer, Seen, Severity,
        culprits::{Culprits, many},
        endpoint::Endpoint,
        rank::Rank,
    },
    hash::HashMap,
};

pub(super) fn scan(scanner: &Process) -> Finding {
    let Process { who, destinations, waiting, .. } = scanner;
    let total = scanner.total();
    let (connected, failed) = (total.connected, total.failed());
    let (mut addresses, mut ports): (Rank<IpAddr>, Rank<u16>) = Default::default();
    for destination in destinations.keys() {
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
    let confidence = Confidence::medium("what the program is for");
    let finding = Finding::new("outbound-scan", confidence, summary)
        .harms(
            Severity::Critical,
            Harm::new(scanner.never_connected(), "destinations probed", "whoever is there"),
        )
        .about(format!("process {}", who.pid))
        .because("different destinations", destinations.len())
        .because("of these never connected", scanner.never_connected())
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

/// Attempts at one destination, without those of scanners.
pub(super) struct Attempts<'a> {
    pub(super) destination: Endpoint,
    pub(super) outcomes: Outcomes,
    /// Who made them, scanners among them.
    pub(super) culprits: Option<&'a Culprits>,
    pub(super) scanners: &'a HashMap<u32, Process>,
    /// Those whose SYN was sent again, at the last look; these have no outcome yet.
    pub(super) waiting: &'a [&'a Seen],
}

impl Attempts<'_> {
    pub(super) fn unanswered(&self) -> u64 {
        self.outcomes.unreachable() + self.waiting.len() as u64
    }

    pub(super) fn all(&self) -> u64 {
        self.outcomes.connected + self.outcomes.refused() + self.unanswered()
    }

    pub(super) fn unreachable(&self) -> Finding {
        let Endpoint { address, port, .. } = self.destination;
        let destination = self.destination.address_and_port();
        let (failed, all) = (self.unanswered(), self.all());
        let summary =
            format!("{destination} cannot be reached: {failed} of {} get no answer", many(all, "attempt"));
        let mut finding = Finding::new("unreachable-destination", Confidence::HIGH, summary)
            .harms(
                Severity::Warning,
                Harm::new(failed, "attempts to connect without an answer", "programs of this host"),
            )
            .because("attempts", all)
            .because("connected", self.outcomes.connected)
            .because("still waiting, with the SYN sent again", self.waiting.len());
        for (cause, count) in self.outcomes.causes() {
            finding = finding.because(cause.name(), count);
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
        self.named(finding, failed)
    }

    pub(super) fn refused(&self) -> Finding {
        let Endpoint { address, port, .. } = self.destination;
        let (count, all) = (self.outcomes.refused(), self.all());
        let summary =
            format!("{} refuses: {count} of {}", self.destination.address_and_port(), many(all, "attempt"));
        let finding = Finding::new("connection-refused", Confidence::HIGH, summary)
            .harms(
                Severity::Warning,
                Harm::new(count, "attempts to connect refused", "programs of this host"),
            )
            .because("attempts", all)
            .because("refused", count)
            .because("connected", self.outcomes.connected)
            .then(
                "On that host, look whether anything listens there",
                Some(format!("ss -tlnp sport = :{port}")),
            )
            .then("Start the service, or correct the address that the program has", None)
            .then(
                "Where it listens, look who refuses: a RST is the host, an ICMP reject is a firewall",
                Some(format!("tcpdump -ni any -c 10 'host {address} and tcp port {port} or icmp or icmp6'")),
            )
            .not("an unreachable host, from which nothing comes back");
        self.named(finding, count)
    }

    /// Names the destination, the processes that try, and those that wait as examples.
    fn named(&self, finding: Finding, count: u64) -> Finding {
        let mut waiters = Culprits::default();
        self.waiting.iter().for_each(|seen| waiters.add(seen, true));
        let ended = self.culprits.map(|culprits| culprits.without(|pid| self.scanners.contains_key(&pid)));
        let mut ended = ended.unwrap_or_default();
        // Whoever of them is named, it is where all of them are.
        ended.within_those_of(&waiters);
        waiters.within_those_of(&ended);
        let culprits = if ended.first_owner().is_some() { &ended } else { &waiters };
        let finding = culprits.name(finding);
        let Endpoint { address, port, .. } = self.destination;
        let peers = vec![Peer { address, port: Some(port), count }];
        let samples = waiters.samples().to_vec();
        Finding { samples, peers, ..finding.about(self.destination.subject()) }
    }
}
