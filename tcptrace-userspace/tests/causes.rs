//! Why a connection ended, and what goes on after CLOSE: from the evidence of its last transitions.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{by_process, event, listens};
use tcptrace::{
    close::{Cause, Role},
    event::{ErrorReport, Event, Reset, Signal},
    record::{Origin, Transition},
    state::State,
    tracker::{Ends, OlderSmall, Options, Span, Tracker},
    wanted::Wanted,
};
use tcptrace_common::{CloseEvidence, EvidenceFlags, Filter};

const SECOND: u64 = 1_000_000_000;

fn tracker() -> Tracker {
    Tracker::new(Options { limit: 100, infer: true, ..Options::default() })
}

fn track(tracker: &mut Tracker, events: impl IntoIterator<Item = Event>) -> Vec<Transition> {
    let mut told = Vec::new();
    for event in events {
        tracker.track(&mut Transition::of(event), |transition| told.push(transition.clone()));
    }
    told
}

/// The cause that the transition to CLOSE is told with.
fn cause(events: impl IntoIterator<Item = Event>) -> Option<Cause> {
    let told = track(&mut tracker(), events);
    let closed = told.iter().find(|told| told.closing.is_some()).expect("it closes");
    closed.closing.as_ref().unwrap().cause
}

fn closes(old: State, error: i32, evidence: CloseEvidence) -> Event {
    Event { error: Some(error), evidence: Some(evidence), ..event(1, SECOND, old, State::CLOSE) }
}

const NONE: CloseEvidence = CloseEvidence {
    user_timeout_ms: 0,
    segs_out: 9,
    unsent: 0,
    unread: 0,
    flags: 0,
    shutdown: 0,
    retransmits: 0,
    probes_out: 0,
    reserved: 0,
};
const CLOSED: CloseEvidence = CloseEvidence { shutdown: 3, ..NONE };
const LINGER: CloseEvidence = CloseEvidence { flags: EvidenceFlags::LINGER_ZERO, ..CLOSED };
const DONE: CloseEvidence = CloseEvidence { flags: EvidenceFlags::DONE, ..CLOSED };

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

fn last(evidence: CloseEvidence) -> Event {
    Event { ktime_ns: 8, ..closes(State::FIN_WAIT2, 0, evidence) }
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

/// Old state, new state, time, time in the old state of what was inferred.
fn inferred(told: &[Transition]) -> Vec<(State, State, u64, Option<u64>)> {
    let inferred = told.iter().filter(|told| told.origin == Origin::Inferred);
    inferred.map(|t| (t.event.old_state, t.event.new_state, t.event.ktime_ns, t.in_old_state_ns)).collect()
}

#[test]
fn time_wait_follows_and_ends() {
    let mut tracker = tracker();
    let told = track(&mut tracker, [last(DONE)]);
    assert_eq!(inferred(&told), [(State::FIN_WAIT2, State::TIME_WAIT, 8, None)]);
    let mut told = Vec::new();
    tracker.tick(60 * SECOND + 7, |transition| told.push(transition.clone()));
    assert!(told.is_empty());
    tracker.tick(61 * SECOND, |transition| told.push(transition.clone()));
    let end = (State::TIME_WAIT, State::CLOSE, 60 * SECOND + 8, Some(60 * SECOND));
    assert_eq!(inferred(&told), [end]);
}

#[test]
fn a_new_connection_takes_the_place_of_one_in_time_wait() {
    let mut tracker = tracker();
    track(&mut tracker, [last(DONE)]);
    let told = track(&mut tracker, [event(2, SECOND, State::SYN_SENT, State::ESTABLISHED)]);
    assert_eq!(inferred(&told), [(State::TIME_WAIT, State::CLOSE, SECOND, Some(SECOND - 8))]);
    assert_eq!(told[0].origin, Origin::Inferred, "it ends before the new one begins");
}

#[test]
fn a_list_tells_what_became_of_one_that_waits_for_a_fin() {
    let confirmed = |sockets: &[OlderSmall], begin_ns| {
        let mut tracker = tracker();
        let closed = last(CLOSED);
        let netns = closed.netns;
        assert_eq!(inferred(&track(&mut tracker, [closed])), [], "it stays in FIN_WAIT2");
        assert!(tracker.wants_list());
        let mut told = Vec::new();
        tracker.confirm(sockets.to_vec(), vec![Span { netns, begin_ns, end_ns: SECOND }]);
        while tracker.is_confirming() {
            tracker.confirm_part(|transition| told.push(transition.clone()));
        }
        tracker.tick(100 * SECOND, |transition| told.push(transition.clone()));
        inferred(&told)
    };
    let last = last(CLOSED);
    let seen = |state| {
        let Event { netns, laddr, lport, raddr, rport, cookie, .. } = last;
        let ends = Ends { netns, laddr, lport, raddr, rport };
        [OlderSmall { cookie, ends, state, since_ns: 500, listed_ns: 100 }]
    };
    let time_wait = (State::FIN_WAIT2, State::TIME_WAIT, 500, Some(492));
    let end = (State::TIME_WAIT, State::CLOSE, 60 * SECOND + 500, Some(60 * SECOND));
    assert_eq!(confirmed(&seen(State::TIME_WAIT), 100), [time_wait, end]);
    assert_eq!(confirmed(&seen(State::FIN_WAIT2), 100), []);
    assert_eq!(confirmed(&[], 100), [(State::FIN_WAIT2, State::CLOSE, SECOND, Some(SECOND - 8))]);
    assert_eq!(confirmed(&[], 3), [], "the list is older than the socket");
}

fn wanted(filter: &Filter) -> Wanted {
    Wanted { filter: *filter, ..Wanted::default() }
}

#[test]
fn filters_on_states_apply_to_what_is_inferred() {
    let filter = Filter { states: 1 << State::TIME_WAIT.0, ..Filter::NONE };
    let mut tracker =
        Tracker::new(Options { limit: 9, infer: true, wanted: wanted(&filter), ..Options::default() });
    let mut hidden = last(DONE);
    hidden.verdict = tcptrace::event::Verdict::Hidden;
    assert_eq!(track(&mut tracker, [hidden]).len(), 1);
    let filter = Filter { new_states: 1 << State::CLOSE_WAIT.0, ..Filter::NONE };
    let mut tracker =
        Tracker::new(Options { limit: 9, infer: true, wanted: wanted(&filter), ..Options::default() });
    assert_eq!(track(&mut tracker, [last(DONE)]).len(), 1);
}

#[test]
fn small_sockets_are_bounded() {
    let mut tracker = Tracker::new(Options { limit: 3, infer: true, ..Options::default() });
    for port in 1..=5 {
        track(&mut tracker, [Event { rport: port, ..last(DONE) }]);
    }
    assert_eq!(tracker.evicted(), 2);
    let mut told = Vec::new();
    tracker.tick(100 * SECOND, |transition| told.push(transition.event.rport));
    assert_eq!(told, [3, 4, 5]);
}

#[test]
fn none_follows_where_the_kernel_makes_none() {
    let mut tracker = tracker();
    let netns = last(DONE).netns;
    tracker.limit_small([(netns, 2)]);
    let ends = |rport, ktime_ns| Event { rport, ktime_ns, ..last(DONE) };
    let mut told = |event| track(&mut tracker, [event]).len();
    // The end itself, and what follows from it.
    assert_eq!([1, 2, 3].map(|port| told(ends(port, 8))), [2, 2, 1]);
    // One that a list told of before its end was tracked.
    let listed = OlderSmall {
        ends: Ends::of(&ends(9, 8)),
        cookie: 1,
        state: State::TIME_WAIT,
        since_ns: 8,
        listed_ns: 9,
    };
    tracker.list(Vec::new(), [listed]);
    let mut told = |event| track(&mut tracker, [event]).len();
    assert_eq!([9, 10].map(|port| told(ends(port, 8))), [2, 1]);
    // Another namespace has its own.
    assert_eq!(told(Event { netns: Some(7), ..ends(4, 8) }), 2);
    // One of another kind counts as well, and those that are over do not.
    let waits = Event { evidence: Some(CLOSED), ..ends(5, 100 * SECOND) };
    assert_eq!([told(waits), told(ends(6, 100 * SECOND)), told(ends(7, 100 * SECOND))], [5, 2, 1]);
    // It is not known for ever.
    tracker.limit_small([(Some(7), 1)]);
    assert_eq!(track(&mut tracker, [ends(8, 100 * SECOND)]).len(), 2);
}
