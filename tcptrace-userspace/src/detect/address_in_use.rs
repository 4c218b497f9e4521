//! `address-in-use`: a program cannot listen, since something else has the port.
//!
//! Where `bind()` succeeds and `listen()` does not (both with `SO_REUSEADDR`), the socket enters LISTEN and leaves it within
//! the same system call (`inet_csk_listen_start()`). A `bind()` that fails makes no transition, and is not seen.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use super::{
    Confidence, Detector, Finding, Sample, Severity, Who,
    bounded::Bounded,
    culprits::{add_owners, many},
};
use crate::{close::Cause, state::State, transition::Transition};

const ID: &str = "address-in-use";

/// Namespace and port.
type Port = (Option<u32>, u16);

#[derive(Default)]
pub(super) struct AddressInUse {
    failed: Bounded<Port, Failed>,
    /// Who listens, and how many wait in TIME_WAIT, at the last look.
    holders: HashMap<Port, (Vec<Who>, u64)>,
}

#[derive(Default)]
struct Failed {
    /// Of the first one.
    address: Option<IpAddr>,
    count: u64,
    who: Option<Who>,
}

impl AddressInUse {
    fn finding(&self, port: &Port, failed: &Failed) -> Finding {
        let address = SocketAddr::new(failed.address.unwrap_or(Ipv6Addr::UNSPECIFIED.into()), port.1);
        let (holders, waiting) = self.holders.get(port).cloned().unwrap_or_default();
        let program = failed.who.as_ref().map_or_else(|| "a program".to_owned(), ToString::to_string);
        let holder = match (holders.first(), waiting) {
            (Some(who), _) => format!("{who} listens there"),
            (None, 1..) => {
                let are = if waiting == 1 { "is" } else { "are" };
                format!("{} {are} there in TIME_WAIT", many(waiting, "connection"))
            }
            (None, 0) => "who had it is gone by now".to_owned(),
        };
        let summary = format!("{program} cannot listen on {address}: {holder}");
        let confidence = if holders.is_empty() && waiting == 0 {
            Confidence::medium("a look while it happens")
        } else {
            Confidence::HIGH
        };
        let finding = Finding::new(ID, Severity::Warning, confidence, summary)
            .about_in(port.0, format_args!("port {}", port.1))
            .because("failed listen()", failed.count)
            .because("in TIME_WAIT there", waiting)
            .then("See who has it", Some(format!("ss -tanp sport = :{}", port.1)))
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
            let Some(failed) = self.failed.entry((event.netns, event.lport)) else { return };
            failed.address.get_or_insert(event.laddr);
            failed.count += 1;
            failed.who = transition.owner.as_deref().map(Who::of_owner).or(failed.who.take());
        }
    }

    fn sample(&mut self, sample: &Sample) {
        self.holders.clear();
        for seen in &sample.sockets {
            let socket = &seen.socket;
            let (listening, waiting) = self.holders.entry((socket.netns, socket.lport)).or_default();
            match socket.state {
                State::LISTEN => add_owners(listening, &seen.owners),
                State::TIME_WAIT => *waiting += 1,
                _ => {}
            }
        }
    }

    fn left_out(&self) -> u64 {
        self.failed.left_out()
    }

    fn findings(&self) -> Vec<Finding> {
        self.failed.iter().map(|(port, failed)| self.finding(port, failed)).collect()
    }
}
