//! `reset-storm`: many connections end by a reset.
//!
//! One reset is a program that does not want to wait; a share of all connections to one end is a fault: of the peer, of
//! this side's program, or of something between (RFC 9293, 3.5.2).

use super::{
    Confidence, Detector, Finding, Options, Severity, Who,
    culprits::{Culprits, many, share},
    end::End,
    rank::Rank,
    thresholds,
};
use crate::{
    close::{Cause, Role},
    hash::HashMap,
    record::Transition,
    text::Escaped,
};

const ID: &str = "reset-storm";

/// Ends that are told apart.
const TOLD_APART: usize = 65_536;

pub(super) struct Resets {
    thresholds: thresholds::ResetStorm,
    /// By the end that a server listens on, here or there.
    ends: HashMap<End, Ends>,
}

#[derive(Default)]
struct Ends {
    all: u64,
    reset: u64,
    here: u64,
    causes: Rank<String>,
    culprits: Culprits,
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
        Self { thresholds: options.thresholds.reset_storm, ends: HashMap::default() }
    }

    fn finding(end: End, ends: &Ends) -> Finding {
        let port = end.port;
        let end = end.address_and_port();
        let by = match ends.here {
            0 => "by the peer",
            here if here == ends.reset => "by this host",
            _ => "by both sides",
        };
        let summary =
            format!("{} of {} at {end} ended by a reset, {by}", ends.reset, many(ends.all, "connection"));
        let mut finding = Finding::new(ID, Severity::Warning, Confidence::HIGH, summary)
            .because("ended", ends.all)
            .because("by a reset", ends.reset)
            .because("of these sent by this host", ends.here);
        for (cause, count) in ends.causes.top(5) {
            finding = finding.because(&cause, count);
        }
        let finding = finding
            .then("See them with who and why", Some(format!("tcptrace life --duration 30s -o json | jq -c 'select(.lport == {port} or .rport == {port}) | [.owner.comm, .cause, .reset_reason]'")))
            .then(
                if ends.here > 0 {
                    "Reset here: the program closes with SO_LINGER 0, or without reading all that came"
                } else {
                    "Reset by the peer: ask there, or look for a time limit of a load balancer or firewall between"
                },
                None,
            )
            .not("single resets of clients that do not want to wait");
        ends.culprits.name(finding)
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
        let end = End::new(event.netns, address, port);
        if self.ends.len() >= TOLD_APART && !self.ends.contains_key(&end) {
            return;
        }
        let ends = self.ends.entry(end).or_default();
        ends.all += 1;
        let Some((cause, here)) = closing.cause.and_then(|cause| Some((cause, reset_here(cause)?))) else {
            return;
        };
        ends.reset += 1;
        ends.here += u64::from(here);
        let reason =
            closing.reset_reason.as_deref().map(|reason| format!(", {}", Escaped(reason.as_bytes())));
        let reason = reason.unwrap_or_default();
        ends.causes.add(format!("{} in {}{reason}", cause.name(), event.old_state));
        if is_server {
            ends.culprits.peer(event.raddr, None);
        } else {
            ends.culprits.peer(event.raddr, Some(event.rport));
        }
        if let Some(owner) = &transition.owner {
            ends.culprits.owner(&Who::of_owner(owner));
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let is_storm = |ends: &Ends| {
            ends.reset >= self.thresholds.count && share(ends.reset, ends.all) >= self.thresholds.share
        };
        let storms = self.ends.iter().filter(|(_, ends)| is_storm(ends));
        storms.map(|(end, ends)| Self::finding(*end, ends)).collect()
    }
}
