//! Ends of connections that were reset, made up, and what is found of them.

use std::{net::IpAddr, sync::Arc};

use super::{event, scans::scan};
use tcptrace_common::{CloseEvidence, CloseMetrics};
use tcptrace_core::{
    diagnosis::detect::{Detectors, Options, Sample},
    model::{
        close::{Cause, Closing, Role},
        event::Event,
        finding::{Finding, Severity},
        flow::{Endpoint, Flow},
        namespace::{LocalAddress, NamespaceSample},
        owner::{Owner, Provenance},
        state::State,
        transition::Transition,
    },
};

pub(crate) const SERVER: &str = "192.0.2.1";
pub(crate) const CLIENT: &str = "198.51.100.7";
pub(crate) const MANY: u16 = 25;

/// An end of a connection: which, why and in which state it ended, and what went over it.
#[derive(Clone, Copy)]
pub(crate) struct Told {
    pub(crate) role: Role,
    pub(crate) state: State,
    pub(crate) cause: Cause,
    /// Of `CloseMetrics`.
    pub(crate) acked: u64,
    pub(crate) received: u64,
    pub(crate) evidence: CloseEvidence,
}

pub(crate) const SEGMENTS: u32 = 4;

pub(crate) fn server(state: State, cause: Cause, acked: u64, received: u64) -> Told {
    let evidence = CloseEvidence { segs_out: SEGMENTS, ..CloseEvidence::default() };
    Told { role: Role::Server, state, cause, acked, received, evidence }
}

/// `acked` without the SYN.
pub(crate) fn client(state: State, cause: Cause, acked: u64, received: u64) -> Told {
    Told { role: Role::Client, ..server(state, cause, acked + 1, received) }
}

impl Told {
    pub(crate) fn with(self, change: impl FnOnce(&mut CloseEvidence)) -> Self {
        let mut told = self;
        change(&mut told.evidence);
        told
    }

    /// Of the connection of that client.
    pub(crate) fn transition(self, number: u16) -> Transition {
        let (server, client) = ((SERVER.parse().unwrap(), 80), (CLIENT.parse().unwrap(), 40_000 + number));
        let (local, remote): ((IpAddr, u16), (IpAddr, u16)) =
            if self.role == Role::Server { (server, client) } else { (client, server) };
        let metrics = CloseMetrics {
            bytes_acked: self.acked,
            bytes_received: self.received,
            ..CloseMetrics::default()
        };
        let event = Event {
            metrics: Some(metrics),
            evidence: Some(self.evidence),
            flow: Flow {
                netns: Some(1),
                local: Endpoint::new(local.0, local.1),
                remote: Endpoint::new(remote.0, remote.1),
            },
            ..event(u64::from(number) + 1, 1, self.state, State::CLOSE)
        };
        let name = if self.role == Role::Server {
            *b"server\0\0\0\0\0\0\0\0\0\0"
        } else {
            *b"client\0\0\0\0\0\0\0\0\0\0"
        };
        let owner = Owner {
            pid: if self.role == Role::Server { 80 } else { 40 },
            uid: 7,
            comm: name,
            provenance: Provenance::Exact,
            others: None,
            process: None,
        };
        let closing = Closing { cause: Some(self.cause), role: Some(self.role), ..Closing::default() };
        Transition { owner: Some(Arc::new(owner)), closing: Some(Box::new(closing)), ..Transition::of(event) }
    }
}

/// A scan of namespace 1, which has these addresses.
pub(crate) fn scan_of(addresses: &[&str], change: impl FnOnce(&mut NamespaceSample)) -> Sample {
    let local = |address: &&str| LocalAddress {
        address: address.parse().unwrap(),
        interface: "eth0".to_owned(),
        running: true,
    };
    let mut namespace =
        NamespaceSample { addresses: addresses.iter().map(local).collect(), ..NamespaceSample::default() };
    change(&mut namespace);
    Sample { namespaces: [(Some(1), namespace)].into(), ..scan(1, vec![]) }
}

pub(crate) fn detectors() -> Detectors {
    Detectors::new(Options { only: vec!["reset-storm".to_owned()], ..Options::default() })
}

/// What is found where all of the connections have these ends, on a host with these addresses.
pub(crate) fn found_of(addresses: &[&str], ends: &[Told]) -> Option<Finding> {
    let mut detectors = detectors();
    detectors.sample(&scan_of(addresses, |_| ()));
    for number in 0..MANY {
        for end in ends {
            detectors.transition(&end.transition(number));
        }
    }
    let mut found = detectors.findings();
    assert!(found.len() <= 1, "{found:#?}");
    found.pop()
}

/// The same of clients that are not of this host, or of a server that is not.
pub(crate) fn found(end: Told) -> Finding {
    let here = if end.role == Role::Server { SERVER } else { CLIENT };
    found_of(&[here], &[end]).expect("many are told of")
}

/// The same within the host, whichever end is told of first.
pub(crate) fn found_within(ends: [Told; 2]) -> Finding {
    let here = [SERVER, CLIENT];
    let finding = found_of(&here, &ends).expect("many are told of");
    let reversed = found_of(&here, &[ends[1], ends[0]]).expect("the same");
    assert_eq!(finding, reversed, "the order of the two ends does not matter");
    finding
}

pub(crate) fn steps(finding: &Finding) -> String {
    finding.next_steps.iter().map(|step| step.what.as_str()).collect::<Vec<_>>().join("\n")
}

pub(crate) fn harm(finding: &Finding) -> String {
    finding.harm.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// Whether anybody is harmed by resets that each lost so much.
pub(crate) fn is_harm(end: Told) -> bool {
    let finding = found(end);
    assert_eq!(finding.severity != Severity::Info, finding.harm.is_some());
    finding.harm.is_some()
}
