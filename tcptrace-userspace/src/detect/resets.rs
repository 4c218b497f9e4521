//! `reset-storm`: many connections end by a reset.
//!
//! One reset is a program that does not want to wait; a share of all connections to one end is a fault: of the peer, of
//! this side's program, or of something between (RFC 9293, 3.5.2).

use super::{
    Confidence, Detector, Finding, Harm, Options, Sample, Severity, Who,
    bounded::Bounded,
    culprits::{Culprits, many, share},
    endpoint::Endpoint,
    rank::Rank,
    thresholds,
};
use crate::{
    close::{Cause, Role},
    text::Escaped,
    transition::Transition,
};

const ID: &str = "reset-storm";

pub(super) struct Resets {
    thresholds: thresholds::ResetStorm,
    /// By the end that a server listens on, here or there.
    endpoints: Bounded<Endpoint, Endings>,
}

#[derive(Default)]
struct Endings {
    /// As the ends at the server, and those at the clients, tell it.
    at_server: Told,
    at_clients: Told,
    /// Resets that this host sent, by either end.
    here: u64,
    causes: Rank<String>,
    culprits: Culprits,
}

/// Connections that have ended, and of these those that were reset.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    all: u64,
    reset: u64,
}

impl Endings {
    /// Each connection once. One within this host has both its ends here: whoever has seen more has seen these as well.
    fn connections(&self) -> Told {
        self.at_server.max(self.at_clients)
    }
}

/// Whether a connection that ended so was reset, and whether by this side.
fn reset_here(cause: Cause) -> Option<bool> {
    match cause {
        Cause::ResetByPeer => Some(false),
        Cause::ResetLinger
        | Cause::ResetUnread
        | Cause::ResetDisconnect
        | Cause::ResetByKernel
        | Cause::ListenerClosed => Some(true),
        _ => None,
    }
}

impl Resets {
    pub(super) fn new(options: &Options) -> Self {
        Self { thresholds: options.thresholds.reset_storm, endpoints: Bounded::default() }
    }

    fn finding(endpoint: Endpoint, endings: &Endings) -> Finding {
        let (end, port) = (endpoint.address_and_port(), endpoint.port);
        let Told { all, reset } = endings.connections();
        // Both ends of a connection may have sent one.
        let here = endings.here.min(reset);
        let by = match here {
            0 => "by the peer",
            here if here == reset => "by this host",
            _ => "by both sides",
        };
        let summary = format!("{reset} of {} at {end} ended by a reset, {by}", many(all, "connection"));
        let mut finding = Finding::new(ID, Confidence::HIGH, summary)
            .harms(Severity::Warning, Harm::new(reset, "connections reset", format!("both ends at {end}")))
            .about(endpoint.subject())
            .because("ended", all)
            .because("by a reset", reset)
            .because("of these sent by this host", here);
        for (cause, count) in endings.causes.top(5) {
            finding = finding.because(&cause, count);
        }
        let finding = finding
            .then("See them with who and why", Some(format!("tcptrace life --duration 30s -o json | jq -c 'select(.lport == {port} or .rport == {port}) | [.owner.comm, .cause, .reset_reason]'")))
            .then(
                if here * 2 >= reset {
                    "Reset here: the program closes with SO_LINGER 0, or without reading all that came"
                } else {
                    "Reset by the peer: ask there, or look for a time limit of a load balancer or firewall between"
                },
                None,
            )
            .not("single resets of clients that do not want to wait");
        endings.culprits.name(finding)
    }
}

impl Detector for Resets {
    fn transition(&mut self, transition: &Transition) {
        if !transition.ends_connection() {
            return;
        }
        let Some(closing) = &transition.closing else { return };
        let event = &transition.event;
        let is_server = closing.role == Some(Role::Server);
        let (address, port) = if is_server { (event.laddr, event.lport) } else { (event.raddr, event.rport) };
        let endpoint = Endpoint::new(event.netns, address, port);
        let Some(endings) = self.endpoints.entry(endpoint) else { return };
        let told = if is_server { &mut endings.at_server } else { &mut endings.at_clients };
        told.all += 1;
        let Some((cause, here)) = closing.cause.and_then(|cause| Some((cause, reset_here(cause)?))) else {
            return;
        };
        told.reset += 1;
        endings.here += u64::from(here);
        let reason =
            closing.reset_reason.as_deref().map(|reason| format!(", {}", Escaped(reason.as_bytes())));
        let reason = reason.unwrap_or_default();
        endings.culprits.within(event.netns);
        endings.causes.add(format!("{} in {}{reason}", cause.name(), event.old_state));
        if is_server {
            endings.culprits.peer(event.raddr, None);
        } else {
            endings.culprits.peer(event.raddr, Some(event.rport));
        }
        if let Some(owner) = &transition.owner {
            endings.culprits.owner(&Who::of_owner(owner));
        }
    }

    fn sample(&mut self, _sample: &Sample) {
        self.endpoints.make_room(|_, endings| endings.connections().reset > 0);
    }

    fn left_out(&self) -> u64 {
        self.endpoints.left_out()
    }

    fn findings(&self) -> Vec<Finding> {
        let is_storm = |endings: &Endings| {
            let Told { all, reset } = endings.connections();
            reset >= self.thresholds.count && share(reset, all) >= self.thresholds.share
        };
        let storms = self.endpoints.iter().filter(|(_, endings)| is_storm(endings));
        let findings = storms.map(|(endpoint, endings)| Self::finding(*endpoint, endings));
        findings.map(|finding| finding.left_out(self.left_out())).collect()
    }
}
