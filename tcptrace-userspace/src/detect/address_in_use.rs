//! `address-in-use`: a program cannot listen, since something else has the port.
//!
//! Where `bind()` succeeds and `listen()` does not (both with `SO_REUSEADDR`), the socket enters LISTEN and leaves it within
//! the same system call (`inet_csk_listen_start()`). A `bind()` that fails makes no transition, and is not seen.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use super::{
    Confidence, Detector, Finding, Harm, Sample, Severity, Who,
    bounded::Bounded,
    culprits::{add_owners, many},
    sample::LocalEnd,
};
use crate::{close::Cause, listening, state::State, transition::Transition};

const ID: &str = "address-in-use";

#[derive(Default)]
pub(super) struct AddressInUse {
    failed: Bounded<LocalEnd, Failed>,
    /// By namespace and port, at the last look.
    there: HashMap<(Option<u32>, u16), There>,
}

#[derive(Default)]
struct Failed {
    count: u64,
    who: Option<Who>,
}

/// What is on a port.
#[derive(Default)]
struct There {
    /// Sockets that listen: their addresses, and the processes that have them open.
    listening: Vec<(IpAddr, Vec<Who>)>,
    /// Addresses of connections in TIME_WAIT.
    waiting: Vec<IpAddr>,
}

/// Whether a socket of one address keeps another from listening on the other (`inet_rcv_saddr_equal()`). That of IPv6
/// for any takes IPv4 as well, unless it has `IPV6_V6ONLY`, which is not known.
fn overlap(one: IpAddr, other: IpAddr) -> bool {
    let covers = |one, other| listening::addresses(other).any(|address| address == one);
    covers(one, other) || covers(other, one)
}

impl AddressInUse {
    fn finding(&self, end: &LocalEnd, failed: &Failed) -> Finding {
        let &(netns, laddr, lport) = end;
        let address = SocketAddr::new(laddr, lport);
        let there = self.there.get(&(netns, lport));
        let is_own = |owners: &[Who]| {
            failed.who.as_ref().is_some_and(|own| owners.iter().any(|who| who.pid == own.pid))
        };
        let (mut holders, mut own) = (Vec::new(), false);
        let listening = there.iter().flat_map(|there| &there.listening);
        for (_, owners) in listening.filter(|(other, _)| overlap(laddr, *other)) {
            if is_own(owners) {
                own = true;
            } else {
                add_owners(&mut holders, owners);
            }
        }
        let waiting = there.iter().flat_map(|there| &there.waiting);
        let waiting = waiting.filter(|other| overlap(laddr, **other)).count() as u64;
        let program = failed.who.as_ref().map_or_else(|| "a program".to_owned(), ToString::to_string);
        let holder = match (holders.first(), waiting) {
            (Some(who), _) => format!("{who} listens there"),
            // It had it already, or has tried until it got it.
            _ if own => "by now it listens there itself".to_owned(),
            // These would rather make bind() fail.
            (None, 1..) => {
                format!("nobody listens there by now, {} in TIME_WAIT", many(waiting, "connection"))
            }
            (None, 0) => "who had it is gone by now".to_owned(),
        };
        let summary = format!("{program} cannot listen on {address}: {holder}");
        let confidence =
            if holders.is_empty() { Confidence::medium("a look while it happens") } else { Confidence::HIGH };
        let finding = Finding::new(ID, confidence, summary)
            .harms(
                Severity::Warning,
                Harm::new(failed.count, "calls of listen() that failed", program.clone()),
            )
            .about_in(netns, address)
            .because("failed listen()", failed.count)
            .because("in TIME_WAIT there", waiting)
            .then("See who has it", Some(format!("ss -tanp sport = :{lport}")))
            .then("Stop the other one, or let this one use another port", None)
            .not("a listener that is closed again soon after, which takes longer than the system call");
        let owners = holders.into_iter().chain(failed.who.clone()).collect();
        Finding { owners, ..finding }
    }
}

impl Detector for AddressInUse {
    fn transition(&mut self, transition: &Transition) {
        let event = &transition.event;
        if transition.closing.as_ref().and_then(|closing| closing.cause) == Some(Cause::AddressInUse) {
            let Some(failed) = self.failed.entry((event.netns, event.laddr, event.lport)) else { return };
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
            let there = self.there.entry((socket.netns, socket.lport)).or_default();
            if socket.state == State::LISTEN {
                there.listening.push((socket.laddr, seen.owners.clone()));
            } else {
                there.waiting.push(socket.laddr);
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
