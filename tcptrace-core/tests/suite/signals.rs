//! Signals put to the end of their connection: resets, errors, segments that are sent again.

use tcptrace_core::{
    model::{
        close::Cause,
        event::{ErrorReport, Event, Reset, Signal},
        state::State,
    },
    pipeline::tracker::{Options, Tracker},
};

use crate::common::{
    by_process,
    closing::{CLOSED, LINGER, NONE, SECOND, closes, last, reset, track, tracker},
    event,
};

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
        let ports = (event.flow.local.port, event.flow.remote.port + other_port);
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
        let ktime_ns = event.ktime_ns + late_ns;
        let flow = event.flow.anywhere();
        tracker.ahead(Signal::Error(ErrorReport { ktime_ns, flow, error: 111 }));
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
