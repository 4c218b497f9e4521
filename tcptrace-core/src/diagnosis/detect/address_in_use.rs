//! `address-in-use`: a program cannot listen, because another socket has the port.
//!
//! Where `bind()` succeeds and `listen()` fails (both sockets with `SO_REUSEADDR`), the socket enters LISTEN and leaves it
//! within the same system call (`inet_csk_listen_start()`). A `bind()` that fails makes no transition, so it is not
//! detected.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use super::{
    Detector, Sample,
    bounded::Bounded,
    culprits::{add_owners, many},
};
use crate::model::{
    close::Cause,
    finding::{Confidence, Finding, Harm, Severity},
    flow::LocalEnd,
    listening,
    process::Process,
    state::State,
    transition::Transition,
    who::Who,
};

const ID: &str = "address-in-use";

#[derive(Default)]
pub(super) struct AddressInUse {
    failed: Bounded<LocalEnd, Failed>,
    /// The sockets by namespace and port, at the last scan.
    there: HashMap<(Option<u32>, u16), There>,
}

#[derive(Default)]
struct Failed {
    count: u64,
    who: Option<Who>,
}

/// The sockets on a port.
#[derive(Default)]
struct There {
    /// Sockets that listen.
    listening: Vec<Listens>,
    /// Connections in TIME_WAIT: their addresses, and the milliseconds that each still waits.
    waiting: Vec<(IpAddr, u32)>,
}

/// A socket that listens.
struct Listens {
    laddr: IpAddr,
    owners: Arc<[Who]>,
}

impl Listens {
    /// Whether the program that failed has got this socket in the end: the same process, or a later process of the same
    /// program.
    fn is_of(&self, failed: &Failed) -> bool {
        let Some(own) = &failed.who else { return false };
        let is_later = |who: &Who| match (&who.process, &own.process) {
            (Some(later), Some(own)) => is_same_program(later, own) && later.start_ticks > own.start_ticks,
            _ => false,
        };
        self.owners.iter().any(|who| who.pid == own.pid || is_later(who))
    }
}

/// Whether two processes run the same program, by all that is known of them: many processes are called `java` or `python3`.
/// Where the executable is unknown, the answer is no.
fn is_same_program(one: &Process, other: &Process) -> bool {
    let of = |process: &Process| (process.comm.clone(), process.unit.clone(), process.container.clone());
    one.exe.is_some() && one.exe == other.exe && of(one) == of(other)
}

/// Whether a socket of one address keeps another from listening on the other address (`inet_rcv_saddr_equal()`). An IPv6
/// socket of the unspecified address takes IPv4 as well, unless it has `IPV6_V6ONLY`. That option is unknown here.
fn overlap(one: IpAddr, other: IpAddr) -> bool {
    let covers = |one, other| listening::addresses(other).any(|address| address == one);
    covers(one, other) || covers(other, one)
}

impl AddressInUse {
    fn finding(&self, end: &LocalEnd, failed: &Failed) -> Finding {
        let LocalEnd { netns, end: address } = *end;
        let there = self.there.get(&(netns, address.port));
        let (mut holders, mut own) = (Vec::new(), false);
        let listening = there.iter().flat_map(|there| &there.listening);
        for listens in listening.filter(|listens| overlap(address.address, listens.laddr)) {
            if listens.is_of(failed) {
                own = true;
            } else {
                add_owners(&mut holders, &listens.owners);
            }
        }
        let waiting = there.iter().flat_map(|there| &there.waiting);
        let waiting: Vec<u32> = waiting
            .filter(|(other, _)| overlap(address.address, *other))
            .map(|(_, left_ms)| *left_ms)
            .collect();
        let longest = Duration::from_millis(waiting.iter().max().copied().unwrap_or(0).into());
        let program = failed.who.as_ref().map_or_else(|| "a program".to_owned(), ToString::to_string);
        let holder = match (holders.first(), waiting.len() as u64) {
            (Some(who), _) => format!("{who} listens there"),
            // The program had the port already, or it tried until it got the port.
            _ if own => "by now it listens there itself".to_owned(),
            // Connections in TIME_WAIT would rather make `bind()` fail.
            (None, count @ 1..) => {
                format!(
                    "nobody listens there by now, {} in TIME_WAIT for up to {} s more",
                    many(count, "connection"),
                    longest.as_secs()
                )
            }
            (None, 0) => "who had it is gone by now".to_owned(),
        };
        let could = if own && holders.is_empty() { "could not" } else { "cannot" };
        let summary = format!("{program} {could} listen on {address}: {holder}");
        let confidence =
            if holders.is_empty() { Confidence::medium("a scan while it happens") } else { Confidence::HIGH };
        let finding = Finding::new(ID, confidence, summary);
        let finding = if own && holders.is_empty() {
            finding
        } else {
            let what = "calls of listen() that failed";
            finding.harms(Severity::Warning, Harm::new(failed.count, what, program))
        };
        let finding = finding
            .about_in(netns, address)
            .because("failed listen()", failed.count)
            .because("in TIME_WAIT there", waiting.len())
            .because("longest of these waits for another", longest)
            .then("See who has it", Some(format!("ss -tanp sport = :{}", address.port)))
            .then("Stop the other one, or let this one use another port", None)
            .not("a program that tries again until it listens, as after a restart")
            .not("a listener that is closed at once: the kernel had taken that");
        // First the process that fails, then those that only hold the port.
        let owners = failed.who.clone().into_iter().chain(holders).collect();
        Finding { owners, ..finding }
    }
}

impl Detector for AddressInUse {
    fn transition(&mut self, transition: &Transition) {
        let event = &transition.event;
        if transition.closing.as_ref().and_then(|closing| closing.cause) == Some(Cause::AddressInUse) {
            let Some(failed) = self.failed.entry(event.flow.local_end()) else { return };
            failed.count += 1;
            failed.who = transition.owner.as_deref().map(Who::of_owner).or(failed.who.take());
        }
    }

    fn sample(&mut self, sample: &Sample) {
        self.there.clear();
        for seen in &sample.sockets {
            let socket = &seen.socket;
            if !matches!(socket.state, State::LISTEN | State::TIME_WAIT) {
                continue;
            }
            let there = self.there.entry(socket.flow.local_port()).or_default();
            if socket.state == State::LISTEN {
                there
                    .listening
                    .push(Listens { laddr: socket.flow.local.address, owners: seen.owners.clone() });
            } else {
                let left_ms = socket.timer.map_or(0, |timer| timer.expires_ms);
                there.waiting.push((socket.flow.local.address, left_ms));
            }
        }
    }

    fn left_out(&self) -> u64 {
        self.failed.left_out()
    }

    fn findings(&self) -> Vec<Finding> {
        self.failed.iter().map(|(end, failed)| self.finding(end, failed)).collect()
    }
}
