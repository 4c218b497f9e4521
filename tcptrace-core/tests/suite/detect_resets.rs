//! What a reset loses, and whom that harms.

use crate::common::resets::{
    CLIENT, MANY, SERVER, Told, client, detectors, found, found_within, harm, is_harm, scan_of, server, steps,
};
use crate::common::scans::evidence;
use tcptrace_common::{CloseEvidence, EvidenceFlags};
use tcptrace_core::model::{close::Cause, finding::Severity, state::State};

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
        detectors.sample(&scan_of(&[CLIENT], |_| ()));
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

/// However many are reset without a loss, those that lost something are told with their own number.
#[test]
fn thresholds_are_of_those_that_lost_something() {
    let found = |lost: u16| {
        let mut detectors = detectors();
        detectors.sample(&scan_of(&[SERVER], |_| ()));
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
        detectors.sample(&scan_of(&[SERVER], |_| ()));
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
