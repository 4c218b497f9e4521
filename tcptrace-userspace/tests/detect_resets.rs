//! Resets, made up: what each of them lost, who sent it, and what looks like a loss and is none.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::{net::IpAddr, sync::Arc};

use common::{
    event,
    looks::{look, socket},
};
use tcptrace::{
    close::{Cause, Closing, Role},
    detect::{Detectors, Finding, LocalAddress, NamespaceSample, Options, Sample, Severity},
    event::Event,
    owner::{Owner, Provenance},
    state::State,
    transition::Transition,
};
use tcptrace_common::{CloseEvidence, CloseMetrics, EvidenceFlags};

const SERVER: &str = "192.0.2.1";
const CLIENT: &str = "198.51.100.7";
const MANY: u16 = 25;

/// An end of a connection: which, why and in which state it ended, and what went over it.
#[derive(Clone, Copy)]
struct Told {
    role: Role,
    state: State,
    cause: Cause,
    /// Of `CloseMetrics`.
    acked: u64,
    received: u64,
    evidence: CloseEvidence,
}

const SEGMENTS: u32 = 4;

fn server(state: State, cause: Cause, acked: u64, received: u64) -> Told {
    let evidence = CloseEvidence { segs_out: SEGMENTS, ..CloseEvidence::default() };
    Told { role: Role::Server, state, cause, acked, received, evidence }
}

/// `acked` without the SYN.
fn client(state: State, cause: Cause, acked: u64, received: u64) -> Told {
    Told { role: Role::Client, ..server(state, cause, acked + 1, received) }
}

impl Told {
    fn with(self, change: impl FnOnce(&mut CloseEvidence)) -> Self {
        let mut told = self;
        change(&mut told.evidence);
        told
    }

    /// Of the connection of that client.
    fn transition(self, number: u16) -> Transition {
        let (server, client) = ((SERVER.parse().unwrap(), 80), (CLIENT.parse().unwrap(), 40_000 + number));
        let (local, remote): ((IpAddr, u16), (IpAddr, u16)) =
            if self.role == Role::Server { (server, client) } else { (client, server) };
        let metrics = CloseMetrics {
            bytes_acked: self.acked,
            bytes_received: self.received,
            ..CloseMetrics::default()
        };
        let event = Event {
            netns: Some(1),
            laddr: local.0,
            lport: local.1,
            raddr: remote.0,
            rport: remote.1,
            metrics: Some(metrics),
            evidence: Some(self.evidence),
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
fn scan(addresses: &[&str], change: impl FnOnce(&mut NamespaceSample)) -> Sample {
    let local = |address: &&str| LocalAddress {
        address: address.parse().unwrap(),
        interface: "eth0".to_owned(),
        running: true,
    };
    let mut namespace =
        NamespaceSample { addresses: addresses.iter().map(local).collect(), ..NamespaceSample::default() };
    change(&mut namespace);
    Sample { namespaces: [(Some(1), namespace)].into(), ..look(1, vec![]) }
}

fn detectors() -> Detectors {
    Detectors::new(Options { only: vec!["reset-storm".to_owned()], ..Options::default() })
}

/// What is found where all of the connections have these ends, on a host with these addresses.
fn found_of(addresses: &[&str], ends: &[Told]) -> Option<Finding> {
    let mut detectors = detectors();
    detectors.sample(&scan(addresses, |_| ()));
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
fn found(end: Told) -> Finding {
    let here = if end.role == Role::Server { SERVER } else { CLIENT };
    found_of(&[here], &[end]).expect("many are told of")
}

/// The same within the host, whichever end is told of first.
fn found_within(ends: [Told; 2]) -> Finding {
    let here = [SERVER, CLIENT];
    let finding = found_of(&here, &ends).expect("many are told of");
    let reversed = found_of(&here, &[ends[1], ends[0]]).expect("the same");
    assert_eq!(finding, reversed, "the order of the two ends does not matter");
    finding
}

fn evidence<'a>(finding: &'a Finding, name: &str) -> &'a str {
    let one = finding.evidence.iter().find(|evidence| evidence.name == name);
    one.map_or_else(|| panic!("no {name} in {finding:#?}"), |evidence| evidence.value.as_str())
}

fn steps(finding: &Finding) -> String {
    finding.next_steps.iter().map(|step| step.what.as_str()).collect::<Vec<_>>().join("\n")
}

fn harm(finding: &Finding) -> String {
    finding.harm.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// Whether anybody is harmed by resets that each lost so much.
fn is_harm(end: Told) -> bool {
    let finding = found(end);
    assert_eq!(finding.severity != Severity::Info, finding.harm.is_some());
    finding.harm.is_some()
}

#[test]
fn resets_after_all_was_said_harm_nobody() {
    let established = State::ESTABLISHED;
    let linger = |told: Told| told.with(|evidence| evidence.flags = EvidenceFlags::LINGER_ZERO);
    for (what, end) in [
        ("a check that a port is open", linger(client(established, Cause::ResetLinger, 0, 0))),
        ("the same, at the server", server(established, Cause::ResetByPeer, 0, 0)),
        ("a check with an answer", linger(client(established, Cause::ResetLinger, 30, 200))),
        ("the same, at the server", server(established, Cause::ResetByPeer, 200, 30)),
        ("a proxy that is done with a client", linger(server(established, Cause::ResetLinger, 200, 30))),
        ("a server's kernel, after its FIN", server(State::FIN_WAIT2, Cause::ResetByPeer, 201, 30)),
    ] {
        let finding = found(end);
        assert_eq!(finding.severity, Severity::Info, "{what}: {finding:#?}");
        assert!(finding.summary.ends_with("nothing was lost"), "{what}: {}", finding.summary);
        assert_eq!(evidence(&finding, "without a loss"), "25");
    }
}

/// An answer whose acknowledgement came with the reset itself has not been acknowledged: the kernel takes none from it.
#[test]
fn an_answer_that_was_not_acknowledged_in_time_may_have_been_read() {
    let answered =
        server(State::ESTABLISHED, Cause::ResetByPeer, 0, 30).with(|evidence| evidence.segs_out = 2);
    let finding = found(answered);
    assert_eq!(finding.severity, Severity::Info);
    assert!(finding.summary.ends_with("what they lost is not known"), "{}", finding.summary);
    // The client's end knows.
    let read = client(State::ESTABLISHED, Cause::ResetLinger, 30, 200);
    assert!(found_within([read, answered]).summary.ends_with("nothing was lost"));
    // Only the request was acknowledged.
    assert!(is_harm(answered.with(|evidence| evidence.segs_out = 1)));
}

#[test]
fn a_request_without_an_answer_is_lost() {
    let finding = found(client(State::ESTABLISHED, Cause::ResetByPeer, 30, 0));
    assert_eq!(
        finding.summary,
        "25 of 25 connections at 192.0.2.1:80 were reset before a request was answered, by the peer"
    );
    assert_eq!(
        (finding.severity, harm(&finding)),
        (Severity::Warning, "25 requests without an answer (client[40])".to_owned())
    );
    assert!(steps(&finding).contains("ask there"), "{}", steps(&finding));
    // The SYN is no byte of the program; a third segment is.
    let handshake = client(State::ESTABLISHED, Cause::ResetByPeer, 0, 0);
    assert!(is_harm(handshake));
    assert!(!is_harm(handshake.with(|evidence| evidence.segs_out = 2)), "a SYN and an ACK");
    // Nor is the peer's FIN an answer.
    let fin = client(State::CLOSE_WAIT, Cause::ResetByPeer, 30, 1);
    assert!(is_harm(fin.with(|evidence| evidence.flags = EvidenceFlags::DONE)));
}

/// Logs and metrics are sent without an answer: connections to the same end that were closed in good order had none.
#[test]
fn nobody_waits_for_an_answer_where_there_never_is_one() {
    let reset = client(State::ESTABLISHED, Cause::ResetLinger, 500, 0);
    let severity = |closed: Told| {
        let mut detectors = detectors();
        detectors.sample(&scan(&[CLIENT], |_| ()));
        (0..MANY).for_each(|number| detectors.transition(&reset.transition(number)));
        (100..105).for_each(|number| detectors.transition(&closed.transition(number)));
        detectors.findings()[0].severity
    };
    assert_eq!(severity(client(State::LAST_ACK, Cause::PassiveClose, 501, 1)), Severity::Info);
    assert_eq!(severity(client(State::LAST_ACK, Cause::PassiveClose, 501, 200)), Severity::Warning);
}

#[test]
fn data_that_is_thrown_away_is_lost() {
    let unread = |evidence: &mut CloseEvidence| evidence.unread = 10;
    let established = State::ESTABLISHED;
    let finding = found(server(established, Cause::ResetUnread, 200, 30).with(unread));
    assert_eq!(
        finding.summary,
        "25 of 25 connections at 192.0.2.1:80 were reset with data outstanding, by this host: server[80]"
    );
    assert_eq!(harm(&finding), "25 connections that lost data (clients of 192.0.2.1:80)");
    assert!(steps(&finding).contains("server[80] closes without reading"), "{}", steps(&finding));
    let reset = server(established, Cause::ResetByPeer, 200, 30);
    assert!(is_harm(reset.with(|evidence| evidence.unsent = 1)), "written, and never sent");
    assert!(is_harm(reset.with(|evidence| evidence.retransmits = 1)), "sent again, and never acknowledged");
    assert!(!is_harm(reset.with(unread)), "what is there can be read after the peer's reset");
    let fin = |evidence: &mut CloseEvidence| (evidence.unread, evidence.flags) = (1, EvidenceFlags::DONE);
    assert!(!is_harm(server(State::CLOSE_WAIT, Cause::ResetLinger, 200, 31).with(fin)), "a FIN is no data");
}

/// A client that has asked for nothing leaves the greeting unread, and a check over TLS the session's tickets.
#[test]
fn what_a_client_leaves_on_purpose_is_not_lost() {
    let unread = |evidence: &mut CloseEvidence| evidence.unread = 20;
    let closed = |sent, received| client(State::ESTABLISHED, Cause::ResetUnread, sent, received).with(unread);
    assert!(!is_harm(closed(0, 20)), "a greeting");
    assert!(is_harm(closed(0, 50)), "a part of what it has read");
    assert!(is_harm(closed(30, 20)), "an answer");
    assert!(
        !is_harm(closed(30, 200).with(|evidence| evidence.flags = EvidenceFlags::LINGER_ZERO)),
        "tickets"
    );
}

#[test]
fn whom_nobody_accepted_is_refused() {
    let ends = [
        server(State::ESTABLISHED, Cause::ListenerClosed, 0, 0),
        client(State::ESTABLISHED, Cause::ResetByPeer, 0, 0).with(|evidence| evidence.segs_out = 2),
    ];
    let finding = found_within(ends);
    assert_eq!(
        finding.summary,
        "25 of 25 connections at 192.0.2.1:80 were reset before anybody accepted, by this host: server[80]"
    );
    assert_eq!(harm(&finding), "25 clients refused (clients of 192.0.2.1:80)");
}

/// The client closes, the server answers all the same, and the kernel of this host resets it.
#[test]
fn who_closed_first_is_named_where_both_ends_are_here() {
    let ends = [
        client(State::FIN_WAIT2, Cause::ActiveClose, 6, 0),
        server(State::CLOSE_WAIT, Cause::ResetByPeer, 0, 6),
    ];
    let finding = found_within(ends);
    assert_eq!(
        finding.summary,
        "25 of 25 connections at 192.0.2.1:80 were reset before a request was answered, by this host: client[40] had closed first"
    );
    assert_eq!(evidence(&finding, "of these sent by this host"), "25");
    assert_eq!(finding.owners[0].pid, 40);
    assert!(!steps(&finding).contains("ask there") && !steps(&finding).contains("load balancer"));
    // The same of a client elsewhere.
    let finding = found(ends[1]);
    assert!(finding.summary.ends_with("before a request was answered, by the peer"), "{}", finding.summary);
    assert_eq!(evidence(&finding, "of these sent by this host"), "0");
}

/// Where a filter hides the other end, its address tells that this host has it.
#[test]
fn a_peer_of_this_host_is_not_asked_elsewhere() {
    let end = server(State::CLOSE_WAIT, Cause::ResetByPeer, 0, 6);
    let finding = found_of(&[SERVER, CLIENT], &[end]).unwrap();
    assert!(finding.summary.contains("by this host"), "{}", finding.summary);
    assert!(steps(&finding).contains("The other end is on this host"), "{}", steps(&finding));
}

/// An address that several other namespaces have tells nothing; what the tracker has seen of the peer does.
#[test]
fn an_address_of_several_namespaces_does_not_tell_where_the_peer_is() {
    let by_this_host = |namespaces: &[u32], peer_is_here: Option<bool>| {
        let mut detectors = detectors();
        let mut look = scan(&[SERVER], |_| ());
        for netns in namespaces {
            let other = scan(&[CLIENT], |_| ()).namespaces.remove(&Some(1)).unwrap();
            look.namespaces.insert(Some(*netns), other);
        }
        detectors.sample(&look);
        for number in 0..MANY {
            let mut end = server(State::CLOSE_WAIT, Cause::ResetByPeer, 0, 6).transition(number);
            end.closing.as_mut().unwrap().peer_is_here = peer_is_here;
            detectors.transition(&end);
        }
        detectors.findings().remove(0).summary.contains("by this host")
    };
    assert!(by_this_host(&[2], None), "one has it");
    assert!(!by_this_host(&[2, 3], None), "which of them, or another host?");
    assert!(by_this_host(&[2, 3], Some(true)), "seen");
    assert!(by_this_host(&[], Some(true)), "seen, whatever the addresses");
    // Both ends are one connection all the same.
    let mut detectors = detectors();
    let mut look = scan(&[SERVER], |_| ());
    for netns in [2, 3] {
        look.namespaces.insert(Some(netns), scan(&[CLIENT], |_| ()).namespaces.remove(&Some(1)).unwrap());
    }
    detectors.sample(&look);
    for number in 0..MANY {
        let mut closed = client(State::FIN_WAIT2, Cause::ActiveClose, 6, 0).transition(number);
        closed.event.netns = Some(2);
        detectors.transition(&closed);
        detectors.transition(&server(State::CLOSE_WAIT, Cause::ResetByPeer, 0, 6).transition(number));
    }
    let summary = detectors.findings().remove(0).summary;
    assert!(summary.starts_with("25 of 25 connections at "), "{summary}");
}

/// Only the client knows the connection: the kernel reset it for a full accept queue, and counts that.
#[test]
fn whom_a_full_queue_resets_is_refused_by_this_host() {
    let found = |abort: bool, embryonic: u64| {
        let scan = |count: u64| {
            let mut scan = scan(&[SERVER, CLIENT], |namespace| {
                namespace.counters = [("EmbryonicRsts".to_owned(), count)].into();
                namespace.limits.abort_on_overflow = Some(abort);
            });
            scan.sockets.push(socket(State::LISTEN, 4, 80));
            scan
        };
        let mut detectors = detectors();
        detectors.sample(&scan(10));
        let end = client(State::ESTABLISHED, Cause::ResetByPeer, 0, 0).with(|evidence| evidence.segs_out = 2);
        (0..MANY).for_each(|number| detectors.transition(&end.transition(number)));
        detectors.sample(&scan(10 + embryonic));
        detectors.findings().remove(0)
    };
    let finding = found(true, 25);
    assert_eq!(finding.severity, Severity::Warning);
    assert!(
        finding.summary.contains("were reset before anybody accepted, by this host: the accept queue of ")
    );
    assert_eq!(
        (finding.owners[0].pid, evidence(&finding, "of clients that nobody had accepted")),
        (80, "25")
    );
    assert!(steps(&finding).contains("tcp_abort_on_overflow is 1"), "{}", steps(&finding));
    for (abort, embryonic) in [(false, 25), (true, 0)] {
        let finding = found(abort, embryonic);
        assert_eq!((finding.severity, &finding.harm), (Severity::Info, &None), "{abort} {embryonic}");
        assert!(finding.summary.contains("by this host; nothing was lost"), "{}", finding.summary);
    }
}

/// However many are reset without a loss, those that lost something are told with their own number.
#[test]
fn thresholds_are_of_those_that_lost_something() {
    let found = |lost: u16| {
        let mut detectors = detectors();
        detectors.sample(&scan(&[SERVER], |_| ()));
        let (check, loss) = (
            server(State::ESTABLISHED, Cause::ResetByPeer, 0, 0),
            server(State::CLOSE_WAIT, Cause::ResetByPeer, 0, 6),
        );
        for number in 0..100 {
            let end = if number < lost { loss } else { check };
            detectors.transition(&end.transition(number));
        }
        detectors.findings().remove(0)
    };
    let finding = found(19);
    assert_eq!(finding.severity, Severity::Info, "19 are no storm");
    assert!(finding.summary.starts_with("100 of 100 connections"), "{}", finding.summary);
    let finding = found(20);
    assert_eq!(finding.severity, Severity::Warning);
    assert!(finding.summary.starts_with("20 of 100 connections"), "{}", finding.summary);
    assert_eq!(evidence(&finding, "without a loss"), "80");
}

/// Checks that a port is open are no work, and do not hide what the work loses; other connections count.
#[test]
fn checks_do_not_hide_what_is_lost() {
    let severity = |others: Told| {
        let mut detectors = detectors();
        detectors.sample(&scan(&[SERVER], |_| ()));
        let loss = server(State::CLOSE_WAIT, Cause::ResetByPeer, 0, 6);
        (0..30).for_each(|number| detectors.transition(&loss.transition(number)));
        (100..1_000).for_each(|number| detectors.transition(&others.transition(number)));
        detectors.findings().first().map(|finding| finding.severity)
    };
    assert_eq!(severity(server(State::ESTABLISHED, Cause::ResetByPeer, 0, 0)), Some(Severity::Warning));
    assert_eq!(severity(server(State::LAST_ACK, Cause::PassiveClose, 201, 31)), None);
}

/// Figures that the kernel side does not have are no zeros.
#[test]
fn what_is_not_known_is_not_lost() {
    let mut detectors = detectors();
    for number in 0..MANY {
        let mut reset = client(State::ESTABLISHED, Cause::ResetByPeer, 30, 0).transition(number);
        (reset.event.metrics, reset.event.evidence) = (None, None);
        detectors.transition(&reset);
    }
    let finding = detectors.findings().remove(0);
    assert_eq!(finding.severity, Severity::Info);
    assert_eq!(evidence(&finding, "of which it is not known what was lost"), "25");
}

/// A process that crashes, or ends without reading all: the kernel resets what it had open, and what was in it is lost.
#[test]
fn a_process_that_ends_resets_what_it_had_open() {
    let exits = |told: Told, reset_sent: Option<bool>| {
        let mut detectors = detectors();
        detectors.sample(&scan(&[SERVER], |_| ()));
        for number in 0..MANY {
            let mut end = told.transition(number);
            end.closing.as_mut().unwrap().reset_sent = reset_sent;
            detectors.transition(&end);
        }
        detectors.findings().pop()
    };
    let unread = |evidence: &mut CloseEvidence| evidence.unread = 10;
    let crash = server(State::ESTABLISHED, Cause::ProcessExited, 0, 10).with(unread);
    let finding = exits(crash, Some(true)).unwrap();
    assert_eq!(
        finding.summary,
        "25 of 25 connections at 192.0.2.1:80 were reset with data outstanding, by this host: server[80] ended"
    );
    assert_eq!((finding.severity, finding.owners[0].pid), (Severity::Warning, 80));
    assert!(steps(&finding).contains("server[80] ended with the connections open"), "{}", steps(&finding));
    assert!(finding.evidence.iter().any(|one| one.name.contains("process_exited")), "{:?}", finding.evidence);
    // One that ends in good order sends a FIN.
    for reset_sent in [None, Some(false)] {
        assert_eq!(exits(server(State::LAST_ACK, Cause::ProcessExited, 201, 30), reset_sent), None);
    }
    // A check that resets by SO_LINGER, by its end.
    let check = client(State::ESTABLISHED, Cause::ProcessExited, 30, 200)
        .with(|evidence| (evidence.unread, evidence.flags) = (5, EvidenceFlags::LINGER_ZERO));
    assert_eq!(exits(check, Some(true)).unwrap().severity, Severity::Info);
    // Both ends tell of it.
    let gone = [
        client(State::FIN_WAIT2, Cause::ProcessExited, 6, 0),
        server(State::CLOSE_WAIT, Cause::ResetByPeer, 0, 6),
    ];
    let finding = found_within(gone);
    assert!(finding.summary.ends_with("by this host: client[40] ended"), "{}", finding.summary);
}

/// Only who closed had closed first: keepalive and time limits of the kernel reset as well.
#[test]
fn who_did_not_close_is_not_said_to_have_closed_first() {
    let reset = server(State::CLOSE_WAIT, Cause::ResetByPeer, 0, 6);
    for cause in [Cause::ActiveClose, Cause::PassiveClose, Cause::SimultaneousClose] {
        let finding = found_within([client(State::FIN_WAIT2, cause, 6, 0), reset]);
        assert!(finding.summary.contains("client[40] had closed first"), "{cause:?}: {}", finding.summary);
    }
    for cause in [Cause::KeepaliveTimeout, Cause::UserTimeout, Cause::RetransmissionTimeout] {
        let finding = found_within([client(State::ESTABLISHED, cause, 6, 0), reset]);
        assert!(finding.summary.ends_with(", by this host"), "{cause:?}: {}", finding.summary);
        assert!(!steps(&finding).contains("closes first"), "{}", steps(&finding));
        assert!(evidence(&finding, cause.name()) == "25", "{finding:#?}");
    }
}

/// A port that is used again belongs to another connection than the end that nobody paired long ago.
#[test]
fn an_old_end_is_not_of_the_connection_that_uses_its_port_again() {
    let found = |scans_between: usize| {
        let mut detectors = detectors();
        let look = scan(&[SERVER, CLIENT], |_| ());
        detectors.sample(&look);
        for number in 0..MANY {
            detectors.transition(&client(State::FIN_WAIT2, Cause::ActiveClose, 6, 0).transition(number));
        }
        (0..scans_between).for_each(|_| detectors.sample(&look));
        for number in 0..MANY {
            detectors.transition(&server(State::CLOSE_WAIT, Cause::ResetByPeer, 0, 6).transition(number));
        }
        let finding = detectors.findings().remove(0);
        (evidence(&finding, "ended").to_owned(), finding.summary.contains("client[40] had closed first"))
    };
    assert_eq!(found(0), ("25".to_owned(), true));
    assert_eq!(found(1), ("25".to_owned(), true), "the ends of one connection, before and after a scan");
    assert_eq!(found(2), ("50".to_owned(), false), "two connections");
}

/// Clients that may have been refused tell who refused clients, not who lost data.
#[test]
fn clients_whom_nobody_refused_do_not_say_who_lost_data() {
    let mut detectors = detectors();
    detectors.sample(&scan(&[SERVER, CLIENT], |_| ()));
    let lost = server(State::ESTABLISHED, Cause::ResetUnread, 200, 30).with(|evidence| evidence.unread = 10);
    let mute = client(State::ESTABLISHED, Cause::ResetByPeer, 0, 0).with(|evidence| evidence.segs_out = 2);
    (0..MANY).for_each(|number| detectors.transition(&lost.transition(number)));
    (100..200).for_each(|number| detectors.transition(&mute.transition(number)));
    let finding = detectors.findings().remove(0);
    assert_eq!(
        finding.summary,
        "25 of 125 connections at 192.0.2.1:80 were reset with data outstanding, by this host: server[80]"
    );
    assert!(steps(&finding).contains("server[80] closes without reading"), "{}", steps(&finding));
}
