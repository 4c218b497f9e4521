//! Who has reset, where both ends of a connection are on this host.

use crate::common::resets::{
    CLIENT, MANY, SERVER, Told, client, detectors, found, found_of, found_within, scan_of, server, steps,
};
use crate::common::scans::{evidence, socket};
use tcptrace_common::{CloseEvidence, EvidenceFlags};
use tcptrace_core::model::{close::Cause, finding::Severity, state::State};

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
    let by_this_host = |namespaces: &[u32], peer_is_here: bool| {
        let mut detectors = detectors();
        let mut scan = scan_of(&[SERVER], |_| ());
        for netns in namespaces {
            let other = scan_of(&[CLIENT], |_| ()).namespaces.remove(&Some(1)).unwrap();
            scan.namespaces.insert(Some(*netns), other);
        }
        detectors.sample(&scan);
        for number in 0..MANY {
            let mut end = server(State::CLOSE_WAIT, Cause::ResetByPeer, 0, 6).transition(number);
            end.closing.as_mut().unwrap().peer_is_here = peer_is_here;
            detectors.transition(&end);
        }
        detectors.findings().remove(0).summary.contains("by this host")
    };
    assert!(by_this_host(&[2], false), "one has it");
    assert!(!by_this_host(&[2, 3], false), "which of them, or another host?");
    assert!(by_this_host(&[2, 3], true), "seen");
    assert!(by_this_host(&[], true), "seen, whatever the addresses");
    // Both ends are one connection all the same.
    let mut detectors = detectors();
    let mut scan = scan_of(&[SERVER], |_| ());
    for netns in [2, 3] {
        scan.namespaces.insert(Some(netns), scan_of(&[CLIENT], |_| ()).namespaces.remove(&Some(1)).unwrap());
    }
    detectors.sample(&scan);
    for number in 0..MANY {
        let mut closed = client(State::FIN_WAIT2, Cause::ActiveClose, 6, 0).transition(number);
        closed.event.flow.netns = Some(2);
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
            let mut scan = scan_of(&[SERVER, CLIENT], |namespace| {
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
        (80, "25".to_owned())
    );
    assert!(steps(&finding).contains("tcp_abort_on_overflow is 1"), "{}", steps(&finding));
    for (abort, embryonic) in [(false, 25), (true, 0)] {
        let finding = found(abort, embryonic);
        assert_eq!((finding.severity, &finding.harm), (Severity::Info, &None), "{abort} {embryonic}");
        assert!(finding.summary.contains("by this host; nothing was lost"), "{}", finding.summary);
    }
}

/// A process that crashes, or ends without reading all: the kernel resets what it had open, and what was in it is lost.
#[test]
fn a_process_that_ends_resets_what_it_had_open() {
    let exits = |told: Told, reset_sent: Option<bool>| {
        let mut detectors = detectors();
        detectors.sample(&scan_of(&[SERVER], |_| ()));
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
        let scan = scan_of(&[SERVER, CLIENT], |_| ());
        detectors.sample(&scan);
        for number in 0..MANY {
            detectors.transition(&client(State::FIN_WAIT2, Cause::ActiveClose, 6, 0).transition(number));
        }
        (0..scans_between).for_each(|_| detectors.sample(&scan));
        for number in 0..MANY {
            detectors.transition(&server(State::CLOSE_WAIT, Cause::ResetByPeer, 0, 6).transition(number));
        }
        let finding = detectors.findings().remove(0);
        (evidence(&finding, "ended"), finding.summary.contains("client[40] had closed first"))
    };
    assert_eq!(found(0), ("25".to_owned(), true));
    assert_eq!(found(1), ("25".to_owned(), true), "the ends of one connection, before and after a scan");
    assert_eq!(found(2), ("50".to_owned(), false), "two connections");
}

/// Clients that may have been refused tell who refused clients, not who lost data.
#[test]
fn clients_whom_nobody_refused_do_not_say_who_lost_data() {
    let mut detectors = detectors();
    detectors.sample(&scan_of(&[SERVER, CLIENT], |_| ()));
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
