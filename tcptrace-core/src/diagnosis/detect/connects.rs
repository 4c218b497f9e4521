//! `unreachable-destination`, `connection-refused`, `outbound-scan`: attempts to connect that fail.
//!
//! A SYN without an answer is sent again for two minutes (`net.ipv4.tcp_syn_retries`). Attempts that have not failed yet are
//! therefore evidence as well, once their SYN was sent again. Where no process listens, a reset comes at once (RFC 9293,
//! 3.5.2). Repeated attempts at few destinations mean that a service is gone. Many destinations of one process are a scan,
//! whose attempts say nothing about the services that it happens to try.

mod attempts;
mod destination;
mod fallback;
mod findings;
mod outcomes;
mod place;
mod processes;

use std::sync::Arc;

use super::{
    Detector, Options, Sample, Seen, bounded::Bounded, culprits::share, index::Addresses,
    scoped::ScopedEndpoint, thresholds,
};
use crate::model::{
    finding::Finding,
    hash::{HashMap, HashSet},
    state::State,
    transition::Transition,
    who::Who,
};
use attempts::Attempts;
use destination::Destination;
use fallback::Fallback;
use findings::scan;
use outcomes::Outcomes;
use place::Place;
use processes::{Process, Processes};

pub(super) struct Connects {
    failed: thresholds::FailedConnects,
    scan: thresholds::OutboundScan,
    destinations: Bounded<ScopedEndpoint, Destination>,
    processes: Processes,
    /// Attempts whose SYN was sent again, at the last scan.
    waiting: Vec<Seen>,
    /// Facts of the host about destinations at which no attempt has ended yet, at the last scan.
    places: HashMap<ScopedEndpoint, Place>,
    /// The addresses of this host, at the last scan.
    addresses: Arc<Addresses>,
    /// The end of the last scan.
    scanned_ns: Option<u64>,
}

/// The destination of a socket.
fn destination(seen: &Seen) -> ScopedEndpoint {
    ScopedEndpoint::new(seen.socket.flow.netns, seen.socket.flow.remote)
}

impl Connects {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            failed: options.thresholds.failed_connects,
            scan: options.thresholds.outbound_scan,
            destinations: Bounded::default(),
            processes: Processes::default(),
            waiting: Vec::new(),
            places: HashMap::default(),
            addresses: Arc::default(),
            scanned_ns: None,
        }
    }

    /// Processes that scan: by the attempts that ended, and by those that wait for an answer.
    fn scanners(&self) -> HashMap<u32, Process> {
        let mut waiting: HashMap<u32, Vec<&Seen>> = HashMap::default();
        for seen in &self.waiting {
            if let Some(who) = seen.owners.first() {
                waiting.entry(who.pid).or_default().push(seen);
            }
        }
        let pids: HashSet<u32> = self.processes.all().keys().chain(waiting.keys()).copied().collect();
        let scanner = |pid: u32| {
            let ended = self.processes.all().get(&pid);
            let waits = waiting.get(&pid).map(Vec::as_slice).unwrap_or_default();
            let most = ended.map_or(0, |process| process.destinations.len()) + waits.len();
            // Most processes do not scan; this cheap check excludes them.
            if (most as u64) < self.scan.destinations {
                return None;
            }
            let mut process =
                ended.cloned().or_else(|| Some(Process::new(waits.first()?.owners.first()?.clone())))?;
            process.waiting = waits.len() as u64;
            for seen in waits {
                process.destinations.entry(destination(seen)).or_default();
            }
            self.is_scan(&process).then_some((pid, process))
        };
        pids.into_iter().filter_map(scanner).collect()
    }

    /// Whether a process scans. Destinations count, not attempts: a service that is gone is one destination, however often
    /// it is tried.
    fn is_scan(&self, process: &Process) -> bool {
        let never_connected = process.never_connected();
        never_connected >= self.scan.destinations
            && share(never_connected, process.destinations.len() as u64) >= self.scan.failed
    }

    /// Findings about destinations where processes other than the scanners fail too often.
    fn failures(&self, scanners: &HashMap<u32, Process>) -> Vec<Finding> {
        let is_scanned =
            |seen: &&Seen| seen.owners.first().is_some_and(|who| scanners.contains_key(&who.pid));
        let mut waiting: HashMap<ScopedEndpoint, Vec<&Seen>> = HashMap::default();
        for seen in self.waiting.iter().filter(|seen| !is_scanned(seen)) {
            waiting.entry(destination(seen)).or_default().push(seen);
        }
        let ended = self.destinations.iter().map(|(destination, _)| destination);
        let all: HashSet<ScopedEndpoint> = ended.chain(waiting.keys()).copied().collect();
        let mut findings = Vec::new();
        for destination in all {
            let waiting = waiting.get(&destination).map(Vec::as_slice).unwrap_or_default();
            let mut attempts = self.attempts(destination, scanners, waiting);
            let all = attempts.all();
            let is_many =
                |count: u64, all: u64| count >= self.failed.count && share(count, all) >= self.failed.share;
            if is_many(attempts.unanswered(), all) {
                findings.push(attempts.unreachable());
            }
            let refused = attempts.outcomes.refused();
            if is_many(refused, all) {
                // The search goes through all processes, so it runs only for what is reported.
                attempts.fallback = self.fallback(destination, refused, scanners);
                // Programs that connect by the other family must not hide those that do not.
                let for_good = attempts.refused_for_good();
                let is_harm = is_many(for_good, all - (refused - for_good));
                attempts.name_those_refused_for_good();
                findings.push(attempts.refused(is_harm));
            }
        }
        findings
    }

    /// The fallback of `refused` attempts at a destination. It is limited to their number: a process may have been recorded
    /// when the table of destinations had no capacity.
    fn fallback(
        &self,
        from: ScopedEndpoint,
        refused: u64,
        scanners: &HashMap<u32, Process>,
    ) -> Option<Fallback> {
        let netns = self.destinations.get(&from)?.netns();
        let fallback = Fallback::of(from, netns, &self.processes, scanners, &self.addresses)?;
        Some(Fallback { count: fallback.count.min(refused), ..fallback })
    }

    /// The attempts at a destination of all processes but the scanners; `waiting` are attempts of these processes.
    fn attempts<'a>(
        &'a self,
        destination: ScopedEndpoint,
        scanners: &'a HashMap<u32, Process>,
        waiting: &'a [&'a Seen],
    ) -> Attempts<'a> {
        let known = self.destinations.get(&destination);
        let mut outcomes = known.map(|known| known.outcomes).unwrap_or_default();
        for scanned in scanners.values().filter_map(|scanner| scanner.destinations.get(&destination)) {
            outcomes = outcomes.without(scanned);
        }
        let place = known.and_then(Destination::place).or_else(|| self.places.get(&destination));
        Attempts {
            destination,
            outcomes,
            culprits: known.map(|known| &known.culprits),
            scanners,
            waiting,
            processes: self.processes.all(),
            place: place.cloned().unwrap_or_else(|| Place::of_address(destination.end.address)),
            is_settled: known.is_some_and(Destination::is_settled),
            then: known.map(Destination::then).unwrap_or_default(),
            fallback: None,
            served: HashSet::default(),
        }
    }
}

impl Detector for Connects {
    fn transition(&mut self, transition: &Transition) {
        let Some(outcome) = Outcomes::of(transition) else { return };
        let event = &transition.event;
        let destination = ScopedEndpoint::new(event.flow.netns, event.flow.remote);
        let who = transition.owner.as_deref().map(Who::of_owner);
        if let Some(known) = self.destinations.entry(destination) {
            known.add(event, &outcome, who.as_ref());
        }
        if let Some(who) = who {
            self.processes.note(who, destination, &outcome);
        }
    }

    fn sample(&mut self, sample: &Sample) {
        self.addresses = sample.addresses();
        let before_ns = self.scanned_ns.replace(sample.ktime_ns);
        let waits = |seen: &&Seen| {
            let again = seen.socket.timer.is_some_and(|timer| timer.retransmits > 0);
            seen.socket.state == State::SYN_SENT && again
        };
        self.destinations.make_room(|_, known| known.outcomes.failed() > 0);
        self.processes.make_room(usize::try_from(self.scan.destinations).unwrap_or(usize::MAX));
        self.waiting = sample.sockets.iter().filter(waits).cloned().collect();
        let mut waiting: HashMap<ScopedEndpoint, Vec<&Seen>> = HashMap::default();
        for seen in &self.waiting {
            waiting.entry(destination(seen)).or_default().push(seen);
        }
        for (to, known) in self.destinations.iter_mut() {
            let waiting = waiting.remove(to).unwrap_or_default();
            known.note(sample, before_ns, *to, &waiting, self.failed.count);
        }
        let many = waiting.into_iter().filter(|(_, waiting)| waiting.len() as u64 >= self.failed.count);
        let place = |(to, waiting): (ScopedEndpoint, Vec<&Seen>)| {
            let least =
                waiting.iter().map(|seen| (seen.socket.flow.netns, seen.socket.flow.local.address)).max()?;
            Some((to, Place::of(sample, least.0, Some(least.1), to)))
        };
        self.places = many.filter_map(place).collect();
    }

    fn left_out(&self) -> u64 {
        self.destinations.left_out() + self.processes.left_out()
    }

    fn findings(&self) -> Vec<Finding> {
        let scanners = self.scanners();
        // A forgotten process is not subtracted from its destinations either.
        let all = scanners.values().map(scan).chain(self.failures(&scanners));
        all.map(|finding| finding.left_out(self.left_out())).collect()
    }
}
