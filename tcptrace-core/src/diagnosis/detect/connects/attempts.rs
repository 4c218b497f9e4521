//! Findings about attempts at one destination that fail.

use std::fmt::Write as _;

use super::{destination::Then, fallback::Fallback, outcomes::Outcomes, place::Place, processes::Process};
use crate::{
    diagnosis::detect::{
        Seen,
        culprits::{Culprits, many},
        scoped::ScopedEndpoint,
    },
    model::{
        evidence::EvidenceValue,
        finding::{Confidence, Finding, Harm, Peer, Severity},
        flow::Endpoint,
        hash::{HashMap, HashSet},
        text::Escaped,
    },
};

/// Attempts at one destination, without those of scanners.
pub(super) struct Attempts<'a> {
    pub(super) destination: ScopedEndpoint,
    pub(super) outcomes: Outcomes,
    /// The processes that made the attempts, scanners among them.
    pub(super) culprits: Option<&'a Culprits>,
    pub(super) scanners: &'a HashMap<u32, Process>,
    /// Attempts whose SYN was sent again, at the last scan; these have no outcome yet.
    pub(super) waiting: &'a [&'a Seen],
    /// The destinations of all processes.
    pub(super) processes: &'a HashMap<u32, Process>,
    pub(super) place: Place,
    /// Whether attempts at the destination connect by now.
    pub(super) is_settled: bool,
    /// Whether a socket listened there when attempts were refused.
    pub(super) then: Then,
    /// Refused attempts whose programs connected to the same port by the other family.
    pub(super) fallback: Option<Fallback>,
    /// Programs that are not named, because they get their connections.
    pub(super) served: HashSet<u32>,
}

/// A listener at a destination, when attempts there were refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Now {
    /// It was there at that time.
    AsThen,
    /// It began after that time.
    NotThen,
    /// Not known.
    Unknown,
}

impl Attempts<'_> {
    pub(super) fn unanswered(&self) -> u64 {
        self.outcomes.unreachable() + self.waiting.len() as u64
    }

    pub(super) fn all(&self) -> u64 {
        self.outcomes.connected + self.outcomes.refused() + self.unanswered()
    }

    pub(super) fn unreachable(&self) -> Finding {
        let Endpoint { address, port } = self.destination.end;
        let (failed, all) = (self.unanswered(), self.all());
        let destination = self.destination.end;
        let attempts = many(all, "attempt");
        let mut summary = if self.outcomes.connected == 0 {
            format!("{destination} cannot be reached: {failed} of {attempts} get no answer")
        } else {
            format!("{failed} of {attempts} at {destination} get no answer")
        };
        if let Some(listener) = self.place.listener() {
            let _ = write!(summary, "; {listener} listens there");
        } else if let Some(interface) = &self.place.down {
            let _ = write!(summary, "; {} has no carrier", Escaped(interface.as_bytes()));
        }
        let finding = self
            .begin("unreachable-destination", summary, "attempts to connect without an answer", failed)
            .because("attempts", all)
            .because("connected", self.outcomes.connected)
            .because("still waiting, with the SYN sent again", self.waiting.len());
        let mut finding = self.connected_elsewhere(finding);
        for (cause, count) in self.outcomes.causes() {
            finding = finding.because(cause.name(), count);
        }
        if self.outcomes.prohibited > 0 {
            finding = finding.because("prohibited by a filter (EACCES)", self.outcomes.prohibited);
        }
        for listener in &self.place.listeners {
            finding.links.rests_on_any(listener.cookie);
            let (length, backlog) = listener.queue;
            finding =
                finding.because("accept queue of the listener there", EvidenceValue::part(length, backlog));
        }
        let finding = self.place.in_the_way(finding);
        let finding = if !self.place.listeners.is_empty() && self.place.has_waiting() {
            finding.then(
                "It listens, and does not accept: Recv-Q waits, Send-Q is the backlog",
                Some(format!("ss -tlnp sport = :{port}")),
            )
        } else if self.place.is_own {
            finding
                .then("This host has the address, and would refuse if nobody listened: find what drops the SYNs", Some("nft list ruleset; iptables-save".to_owned()))
                .then("See whether its listener drops them (skmem d)", Some(format!("ss -tlnpm sport = :{port}")))
        } else {
            finding
                .then(
                    "Check the route, and which host answers",
                    Some(format!("ip route get {address}; ping -c 3 {address}")),
                )
                .then(
                    "Check whether SYNs leave, and whether anything comes back",
                    Some(format!("tcpdump -ni any host {address} and port {port} -c 10")),
                )
                .then("A filter that drops silently, on the way or there, has the same effect", None)
        };
        self.named(finding.not("a service that is stopped: its host would refuse at once"), failed)
    }

    /// Refused attempts after which the program did not connect by the other family.
    pub(super) fn refused_for_good(&self) -> u64 {
        self.outcomes.refused().saturating_sub(self.fallback.as_ref().map_or(0, |fallback| fallback.count))
    }

    /// Leaves programs that connect by the other family unnamed, as long as other programs do not connect.
    pub(super) fn name_those_refused_for_good(&mut self) {
        let fallback = self.fallback.as_ref().filter(|_| self.refused_for_good() > 0);
        self.served = fallback.map(|fallback| fallback.served.clone()).unwrap_or_default();
    }

    /// `is_harm`: the attempts that were refused for good are too many as well.
    pub(super) fn refused(&self, is_harm: bool) -> Finding {
        let Endpoint { address, port } = self.destination.end;
        let (count, all) = (self.outcomes.refused(), self.all());
        let destination = self.destination.end;
        let attempts = many(all, "attempt");
        let listener = self.place.listener();
        let now = self.listens_now();
        let mut summary = match (now, self.outcomes.connected) {
            // A host with a listener does not refuse: a filter on the way rejects in its name.
            (Some(Now::AsThen), _) => format!("{count} of {attempts} at {destination} are rejected"),
            (_, 0) => format!("{destination} refuses: {count} of {attempts}"),
            (_, _) => format!("{count} of {attempts} at {destination} are refused"),
        };
        if let Some(listener) = &listener {
            let _ = match now {
                Some(Now::AsThen) => write!(summary, ", though {listener} listens there"),
                Some(Now::NotThen) => write!(summary, "; {listener} was not listening then, and does now"),
                _ if self.place.is_by_device() => {
                    write!(summary, "; {listener} listens there, bound to a network device")
                }
                _ => write!(summary, "; {listener} listens there now"),
            };
        } else if let Some(elsewhere) = self.place.elsewhere() {
            let _ = write!(summary, "; {elsewhere} instead");
        }
        if let Some(fallback) = &self.fallback {
            let _ = write!(summary, "; {}", fallback.in_words(count));
        }
        let finding = if is_harm && now != Some(Now::NotThen) {
            self.begin("connection-refused", summary, "attempts to connect refused", self.refused_for_good())
        } else {
            Finding::new("connection-refused", Confidence::HIGH, summary)
        };
        let finding = finding
            .because("attempts", all)
            .because("refused", count)
            .because("connected", self.outcomes.connected);
        let finding = self.connected_elsewhere(finding);
        let finding = match &self.fallback {
            Some(fallback) => fallback.tell(finding),
            None => finding,
        };
        let finding = self.place.in_the_way(finding);
        if now == Some(Now::NotThen) {
            let finding = finding.then(
                "Find out why it began so late, or was restarted",
                Some(format!("ss -tlnp sport = :{port}")),
            );
            return self.named(
                finding.not("a filter that rejects in its name: a scan before them had no such listener"),
                count,
            );
        }
        let finding = match (now, self.place.is_here) {
            (Some(Now::Unknown), _) if self.place.is_by_device() => finding.then(
                "It takes connections by that device only: compare it with the one that they go by",
                Some(format!("ss -tlnp sport = :{port}; ip route get {address}")),
            ),
            (Some(Now::Unknown), _) => finding.then(
                "It listens by now: it has begun since, or a filter rejects in its name",
                Some("nft list ruleset; iptables-save".to_owned()),
            ),
            (Some(_), _) => {
                finding.because("of these with the listener there before", self.then.listening).then(
                    "It listened before they were refused: a filter rejects in its name",
                    Some("nft list ruleset; iptables-save".to_owned()),
                )
            }
            (None, true) => {
                let whose =
                    if self.place.is_own { "this namespace" } else { "another namespace of this host" };
                let nothing =
                    format!("No listener was seen on {destination}, which is an address of {whose}");
                let finding = finding.because("listeners seen there", 0_u64);
                let command = Some(format!("ss -tlnp sport = :{port}"));
                match self.place.elsewhere() {
                    Some(elsewhere) => finding.then(
                        &format!("{nothing}; {elsewhere}: let it listen there, or connect to where it does"),
                        command,
                    ),
                    None => finding.then(&format!("{nothing}: start the service"), command),
                }
            }
            (None, false) => finding
                .then(
                    "On that host, check whether anything listens there",
                    Some(format!("ss -tlnp sport = :{port}")),
                )
                .then(
                    "If it listens, find out who refuses: a RST is the host, an ICMP reject is a firewall",
                    Some(format!(
                        "tcpdump -ni any -c 10 'host {address} and tcp port {port} or icmp or icmp6'"
                    )),
                ),
        };
        let finding = if listener.is_none() {
            finding.then("Start the service, or correct the address that the program has", None)
        } else {
            finding
        };
        self.named(finding.not("an unreachable host, from which nothing comes back"), count)
    }

    /// Whether the present listener was there when attempts were refused; `None` where there is no listener.
    fn listens_now(&self) -> Option<Now> {
        if self.place.listeners.is_empty() {
            return None;
        }
        Some(match self.then {
            _ if self.place.is_by_device() => Now::Unknown,
            Then { listening: 1.., .. } => Now::AsThen,
            Then { not_listening, .. } if not_listening >= self.outcomes.refused() => Now::NotThen,
            _ => Now::Unknown,
        })
    }

    /// Begins a finding with its severity. A program that gets no connection at all fails. A program that connects elsewhere
    /// has lost a part of its attempts. Where attempts connect by now, the fault is over.
    fn begin(&self, id: &'static str, summary: String, what: &str, failed: u64) -> Finding {
        let finding = |summary| Finding::new(id, Confidence::HIGH, summary);
        if self.is_settled && self.waiting.is_empty() {
            return finding(format!("{summary}; it connects by now"));
        }
        let fails = self.outcomes.connected == 0 && self.elsewhere() == 0;
        let severity = if fails { Severity::Critical } else { Severity::Warning };
        finding(summary).harms(severity, Harm::new(failed, what, self.whom()))
    }

    /// The processes that try, without scanners: those of attempts that ended, and those of attempts that wait.
    fn culprits(&self) -> (Culprits, Culprits) {
        let mut waiters = Culprits::default();
        self.waiting.iter().for_each(|seen| waiters.add(seen, true));
        let ended = self.culprits.map(|culprits| {
            culprits.without(|pid| self.scanners.contains_key(&pid) || self.served.contains(&pid))
        });
        let mut ended = ended.unwrap_or_default();
        // Either of the two may be named, so each gets the namespaces of both.
        ended.within_those_of(&waiters);
        waiters.within_those_of(&ended);
        (ended, waiters)
    }

    fn whom(&self) -> String {
        let (ended, waiters) = self.culprits();
        let who = ended.first_owner().or_else(|| waiters.first_owner());
        who.map_or_else(|| "programs of this host".to_owned(), ToString::to_string)
    }

    /// Connections that the program with the most attempts gets to other destinations.
    fn elsewhere(&self) -> u64 {
        let (ended, waiters) = self.culprits();
        let who = ended.first_owner().or_else(|| waiters.first_owner());
        let process = who.and_then(|who| self.processes.get(&who.pid));
        process.map_or(0, |process| {
            let others = process.destinations.iter().filter(|(other, _)| **other != self.destination);
            others.map(|(_, outcomes)| outcomes.connected).sum()
        })
    }

    fn connected_elsewhere(&self, finding: Finding) -> Finding {
        match self.elsewhere() {
            0 => finding,
            count => finding.because("connections of the same program to other destinations", count),
        }
    }

    /// Names the destination and the processes that try, with waiting attempts as examples.
    fn named(&self, finding: Finding, count: u64) -> Finding {
        let (ended, waiters) = self.culprits();
        let culprits = if ended.first_owner().is_some() { &ended } else { &waiters };
        let finding = culprits.name(finding);
        let Endpoint { address, port } = self.destination.end;
        let peers = vec![Peer { address, port: Some(port), count }];
        let samples = waiters.samples().to_vec();
        Finding { samples, peers, ..finding.about(self.destination.subject()) }
    }
}
