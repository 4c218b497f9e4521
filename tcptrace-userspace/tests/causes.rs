//! Why a connection ended: from the evidence of its last transitions.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{
    by_process,
    closing::{CLOSED, DONE, LINGER, NONE, SECOND, closes, last, track, tracker},
    event, listens,
};
use tcptrace::{
    close::{Cause, Role},
    event::{ErrorReport, Event, Reset, Signal},
    state::State,
    tracker::{Options, Tracker},
};
use tcptrace_common::{CloseEvidence, EvidenceFlags};

/// The cause that the transition to CLOSE is told with.
fn cause(events: impl IntoIterator<Item = Event>) -> Option<Cause> {
    let told = track(&mut tracker(), events);
    let closed = told.iter().find(|told| told.closing.is_some()).expect("it closes");
    closed.closing.as_ref().unwrap().cause
}

#[test]
fn errors() {
    let retransmits = CloseEvidence { retransmits: 3, ..NONE };
    let probes = CloseEvidence { probes_out: 2, ..NONE };
    for (old, error, evidence, expected) in [
        (State::SYN_SENT, 111, NONE, Some(Cause::Refused)),
        (State::SYN_SENT, 110, retransmits, Some(Cause::ConnectTimeout)),
        (State::SYN_SENT, 113, NONE, Some(Cause::HostUnreachable)),
        (State::SYN_SENT, 101, NONE, Some(Cause::NetUnreachable)),
        (State::ESTABLISHED, 113, retransmits, Some(Cause::HostUnreachable)),
        (State::SYN_SENT, 13, NONE, Some(Cause::HostUnreachable)),
        (State::ESTABLISHED, 13, retransmits, Some(Cause::HostUnreachable)),
        (State::ESTABLISHED, 104, NONE, Some(Cause::ResetByPeer)),
        (State::FIN_WAIT2, 104, DONE, Some(Cause::ResetByPeer)),
        (State::CLOSE_WAIT, 32, NONE, Some(Cause::ResetByPeer)),
        (State::ESTABLISHED, 32, NONE, None),
        (State::ESTABLISHED, 103, NONE, Some(Cause::Killed)),
        (State::ESTABLISHED, 110, probes, Some(Cause::KeepaliveTimeout)),
        (State::ESTABLISHED, 110, CloseEvidence { unsent: 9, ..probes }, Some(Cause::RetransmissionTimeout)),
        (State::ESTABLISHED, 110, retransmits, Some(Cause::RetransmissionTimeout)),
        (State::FIN_WAIT1, 110, retransmits, Some(Cause::RetransmissionTimeout)),
        (
            State::ESTABLISHED,
            110,
            CloseEvidence { user_timeout_ms: 500, ..retransmits },
            Some(Cause::UserTimeout),
        ),
        (State::ESTABLISHED, 110, NONE, None),
        (State::ESTABLISHED, 71, NONE, None),
    ] {
        assert_eq!(cause([closes(old, error, evidence)]), expected, "{old} {error} {evidence:?}");
    }
}

#[test]
fn what_a_process_does_itself() {
    for (old, evidence, expected) in [
        (State::SYN_SENT, NONE, Cause::ConnectCancelled),
        (State::SYN_SENT, CloseEvidence { segs_out: 0, ..NONE }, Cause::NoLocalPort),
        // The SYN was to come with the first data.
        (State::SYN_SENT, CloseEvidence { segs_out: 0, ..CLOSED }, Cause::ConnectCancelled),
        (State::ESTABLISHED, LINGER, Cause::ResetLinger),
        (State::ESTABLISHED, CLOSED, Cause::ResetUnread),
        (State::CLOSE_WAIT, CLOSED, Cause::ResetUnread),
        (State::ESTABLISHED, NONE, Cause::ResetDisconnect),
        (State::LISTEN, CLOSED, Cause::StoppedListening),
    ] {
        let mut event = by_process(7, b"app", closes(old, 0, evidence));
        assert_eq!(cause([event.clone()]), Some(expected), "{old} {evidence:?}");
        event.context.exiting = true;
        let exited = if expected == Cause::NoLocalPort { expected } else { Cause::ProcessExited };
        assert_eq!(cause([event]), Some(exited), "{old} {evidence:?}, exiting");
    }
}

#[test]
fn without_a_process_the_listener_or_the_kernel_did_it() {
    let child = event(1, 1, State::LISTEN, State::SYN_RECV);
    let closed = closes(State::ESTABLISHED, 0, NONE);
    assert_eq!(cause([child, closed.clone()]), Some(Cause::ListenerClosed));
    let client = by_process(7, b"app", event(1, 1, State::CLOSE, State::SYN_SENT));
    assert_eq!(cause([client, closed.clone()]), None);
    let mut worker = closed;
    worker.context.comm[..10].copy_from_slice(b"kworker/0:");
    assert_eq!(cause([worker]), None, "MPTCP closes its subflows so");
    assert_eq!(cause([closes(State::FIN_WAIT1, 0, CLOSED)]), Some(Cause::ResetByKernel));
}

#[test]
fn a_listener_on_an_address_in_use() {
    let fails = |ktime_ns, evidence| {
        let closes = Event { ktime_ns, ..by_process(7, b"nginx", closes(State::LISTEN, 0, evidence)) };
        [listens(1, 1_000, 7), closes]
    };
    assert_eq!(cause(fails(9_000, NONE)), Some(Cause::AddressInUse));
    assert_eq!(cause(fails(9_000, CLOSED)), Some(Cause::StoppedListening));
    assert_eq!(cause(fails(SECOND, NONE)), Some(Cause::StoppedListening), "shutdown() leaves no trace");
}

/// A client that closes first; `exiting`: by its end.
fn closes_first(exiting: bool) -> [Event; 4] {
    let mut fin = by_process(7, b"app", event(1, 5, State::ESTABLISHED, State::FIN_WAIT1));
    fin.context.exiting = exiting;
    [
        by_process(7, b"app", event(1, 2, State::CLOSE, State::SYN_SENT)),
        event(1, 4, State::SYN_SENT, State::ESTABLISHED),
        fin,
        event(1, 7, State::FIN_WAIT1, State::FIN_WAIT2),
    ]
}

#[test]
fn who_closed_first_with_role_life_and_times() {
    let told = track(&mut tracker(), closes_first(false).into_iter().chain([last(DONE)]));
    let closing = told[4].closing.as_ref().unwrap();
    assert_eq!((closing.cause, closing.role), (Some(Cause::ActiveClose), Some(Role::Client)));
    assert_eq!(closing.life_ns, Some(6));
    let states =
        [(State::SYN_SENT, 2), (State::ESTABLISHED, 1), (State::FIN_WAIT1, 2), (State::FIN_WAIT2, 1)];
    assert_eq!(closing.states, states);
    assert_eq!(cause(closes_first(true).into_iter().chain([last(DONE)])), Some(Cause::ProcessExited));
    assert_eq!(cause([closes(State::LAST_ACK, 0, CLOSED)]), Some(Cause::PassiveClose));
    assert_eq!(cause([closes(State::CLOSING, 0, DONE)]), Some(Cause::SimultaneousClose));
}

/// A program that has shut down its side and then closes the socket with something unread.
#[test]
fn a_close_that_resets_does_so_after_a_fin_as_well() {
    let unread = CloseEvidence { unread: 3, ..CLOSED };
    let by_close = |evidence| by_process(7, b"app", last(evidence));
    assert_eq!(cause([by_close(unread)]), Some(Cause::ResetUnread));
    assert_eq!(cause([by_close(LINGER)]), Some(Cause::ResetLinger));
    assert_eq!(cause([by_close(CLOSED)]), Some(Cause::ActiveClose));
    assert_eq!(cause([last(unread)]), Some(Cause::ActiveClose), "a packet ends it");
    let fin = CloseEvidence { flags: EvidenceFlags::DONE, ..unread };
    assert_eq!(cause([by_close(fin)]), Some(Cause::ActiveClose), "the peer's FIN ends it");
}

#[test]
fn a_reset_of_that_moment_ends_it() {
    let ends = |reset_ns, sent| {
        let mut tracker = tracker();
        tracker.ahead(reset(reset_ns, (0, 0), sent, 20));
        let told = track(&mut tracker, [last(CLOSED)]);
        let closing = told[0].closing.clone().unwrap();
        (closing.cause, closing.reset_reason.as_deref().map(str::to_owned), told.len())
    };
    assert_eq!(ends(9, true), (Some(Cause::ResetByKernel), Some("20".to_owned()), 1));
    assert_eq!(ends(9, false), (Some(Cause::ActiveClose), None, 1));
    assert_eq!(ends(SECOND, true), (Some(Cause::ActiveClose), None, 1), "that is another one's");
}

/// Of the events' socket, which is told by its address alone.
fn reset(ktime_ns: u64, ports: (u16, u16), sent: bool, reason: u32) -> Signal {
    Signal::Reset(Reset { ktime_ns, skaddr: 1, cookie: 0, ports, sent, reason })
}

/// The kernel gives a socket's address to the next one, whose reset is here already when the first one's end is told.
#[test]
fn each_end_takes_its_own_reset() {
    let mut tracker = tracker();
    for (ktime_ns, reason) in [(SECOND + 9, 20), (2 * SECOND + 9, 21)] {
        tracker.ahead(reset(ktime_ns, (0, 0), true, reason));
    }
    tracker.forget_signals(SECOND);
    let first = by_process(7, b"app", closes(State::ESTABLISHED, 0, LINGER));
    let second = Event { ktime_ns: 2 * SECOND, ..first.clone() };
    let third = Event { ktime_ns: 3 * SECOND, ..first.clone() };
    let told = track(&mut tracker, [first, second]);
    let reasons = told.iter().map(|told| told.closing.as_ref().unwrap().reset_reason.as_deref());
    assert_eq!(reasons.collect::<Vec<_>>(), [Some("20"), Some("21")]);
    tracker.ahead(reset(3 * SECOND, (0, 0), true, 20));
    tracker.forget_signals(4 * SECOND);
    assert_eq!(track(&mut tracker, [third])[0].closing.as_ref().unwrap().reset_reason, None, "forgotten");
}

/// Where the cookie tells whose it is, time does not matter: an interrupt may come between the two.
#[test]
fn a_reset_is_known_by_its_cookie() {
    let cause = |cookie, late_ns| {
        let mut tracker = tracker();
        let event = last(CLOSED);
        let cookie = if cookie { event.cookie } else { event.cookie + 1 };
        let ktime_ns = event.ktime_ns + late_ns;
        let skaddr = event.skaddr;
        tracker.ahead(Signal::Reset(Reset {
            ktime_ns,
            skaddr,
            cookie,
            ports: (0, 0),
            sent: true,
            reason: 0,
        }));
        track(&mut tracker, [event])[0].closing.as_ref().unwrap().cause
    };
    assert_eq!(cause(true, 1), Some(Cause::ResetByKernel));
    assert_eq!(cause(true, SECOND / 20), Some(Cause::ResetByKernel));
    assert_eq!(cause(true, SECOND), Some(Cause::ActiveClose), "long after");
    assert_eq!(cause(false, 1), Some(Cause::ActiveClose), "another one's");
}

/// Where there is no cookie, ports tell as much: an address goes to another socket soon, not with the same ports.
#[test]
fn a_reset_is_known_by_its_ports() {
    let cause = |other_port, late_ns| {
        let mut tracker = tracker();
        let event = Event { cookie: 0, ..last(CLOSED) };
        let ports = (event.lport, event.rport + other_port);
        tracker.ahead(reset(event.ktime_ns + late_ns, ports, true, 0));
        track(&mut tracker, [event])[0].closing.as_ref().unwrap().cause
    };
    assert_eq!(cause(0, SECOND / 20), Some(Cause::ResetByKernel));
    assert_eq!(cause(0, SECOND), Some(Cause::ActiveClose), "long after");
    assert_eq!(cause(1, 1), Some(Cause::ActiveClose), "another one's");
}

/// A kernel that does not tell the socket's error reports it to the program at that moment.
#[test]
fn an_error_that_was_reported_is_the_sockets() {
    let end = |known, late_ns| {
        let mut tracker = tracker();
        let event = Event { error: known, evidence: None, ..closes(State::SYN_SENT, 0, NONE) };
        let Event { laddr, lport, raddr, rport, .. } = event;
        let ktime_ns = event.ktime_ns + late_ns;
        let (local, remote) = ((laddr, lport), (raddr, rport));
        tracker.ahead(Signal::Error(ErrorReport { ktime_ns, local, remote, error: 111 }));
        let told = track(&mut tracker, [event]);
        (told[0].event.error, told[0].closing.as_ref().unwrap().cause)
    };
    assert_eq!(end(None, 5), (Some(111), Some(Cause::Refused)));
    assert_eq!(end(None, SECOND), (None, None), "another connection's");
    assert_eq!(end(Some(110), 5), (Some(110), Some(Cause::ConnectTimeout)), "the socket knows better");
}

#[test]
fn segments_sent_again_are_counted_where_the_socket_does_not_tell() {
    let end = |retransmits, begins: bool| {
        let mut tracker = Tracker::new(Options { retransmits, ..Options::default() });
        let begin = begins.then(|| event(1, 1, State::CLOSE, State::SYN_SENT));
        track(&mut tracker, begin.into_iter().chain([event(1, 2, State::SYN_SENT, State::ESTABLISHED)]));
        for skaddr in [1, 1, 2] {
            tracker.in_turn(&Signal::Retransmit { skaddr });
        }
        let bare = Event { metrics: None, ..closes(State::ESTABLISHED, 104, NONE) };
        track(&mut tracker, [bare])[0].retransmits()
    };
    assert_eq!(end(true, true), Some(2));
    assert_eq!(end(true, false), None, "some may have been before");
    assert_eq!(end(false, true), None, "nobody counts");
}

/// `ECONNRESET` is also what the kernel leaves when it answers data for a closed socket by a reset of its own.
#[test]
fn data_after_close_is_told_from_a_reset_of_the_peer() {
    let ends = |evidence, sent: Option<bool>| {
        let mut tracker = tracker();
        if let Some(sent) = sent {
            tracker.ahead(reset(SECOND + 9, (0, 0), sent, 0));
        }
        let told = track(&mut tracker, [closes(State::FIN_WAIT1, 104, evidence)]);
        told[0].closing.as_ref().unwrap().cause
    };
    assert_eq!(ends(CLOSED, Some(true)), Some(Cause::ResetByKernel));
    assert_eq!(ends(CLOSED, Some(false)), Some(Cause::ResetByPeer));
    assert_eq!(ends(CLOSED, None), None, "either");
    assert_eq!(ends(NONE, None), Some(Cause::ResetByPeer), "a socket that is still read takes data");
}
