//! Why a connection ended: from the evidence of its last transitions.

use crate::common::{
    Moved as _, by_process,
    closing::{CLOSED, DONE, LINGER, NONE, SECOND, closes, last, reset, track, tracker},
    event, listens,
};
use tcptrace_common::{CloseEvidence, EvidenceFlags, Fact};
use tcptrace_core::{
    model::{
        close::{Cause, Role},
        event::{Abort, Context, Event, Reset, Signal},
        flow::{Endpoint, Flow},
        state::State,
        transition::Origin,
    },
    pipeline::tracker::{Options, Tracker},
};

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

/// The cause of the last of these, in whose call this reset was sent.
fn with_reset(events: impl IntoIterator<Item = Event>, reason: u32) -> Option<Cause> {
    let names = [
        (11, "tcp_abort_on_close"),
        (12, "tcp_abort_on_linger"),
        (13, "tcp_abort_on_memory"),
        (14, "tcp_state"),
    ];
    let reset_reasons = names.map(|(number, name)| (number, name.to_owned())).into();
    let mut tracker = Tracker::new(Options { reset_reasons, infer: true, ..Options::default() });
    let events: Vec<Event> = events.into_iter().collect();
    tracker.ahead(reset(events.last().unwrap().ktime_ns + 9, (0, 0), true, reason));
    let told = track(&mut tracker, events);
    assert!(told.last().unwrap().origin == Origin::Observed, "after a reset nothing goes on");
    told.last().unwrap().closing.as_ref().unwrap().cause
}

fn without_hook(event: Event) -> Option<Cause> {
    let mut tracker = Tracker::new(Options { resets: false, ..Options::default() });
    track(&mut tracker, [event])[0].closing.as_ref().unwrap().cause
}

/// These facts were read.
fn said(evidence: CloseEvidence, facts: &[(Fact, bool)]) -> CloseEvidence {
    let facts = facts.iter().fold(evidence.facts, |all, (fact, so)| all | fact.said(*so));
    CloseEvidence { facts, ..evidence }
}

#[test]
fn a_reset_that_a_process_sends_needs_a_reset_and_what_made_it() {
    let unread = CloseEvidence { unread: 1, ..CLOSED };
    let fin_unread = CloseEvidence { unread: 1, ..DONE };
    for (old, evidence, expected) in [
        (State::ESTABLISHED, LINGER, Some(Cause::ResetLinger)),
        (State::ESTABLISHED, unread, Some(Cause::ResetUnread)),
        (State::ESTABLISHED, CloseEvidence { unread: 1, ..LINGER }, Some(Cause::ResetUnread)),
        (State::CLOSE_WAIT, CloseEvidence { unread: 2, ..DONE }, Some(Cause::ResetUnread)),
        (State::CLOSE_WAIT, fin_unread, None),
        (State::ESTABLISHED, CLOSED, None),
        (State::ESTABLISHED, NONE, Some(Cause::ResetDisconnect)),
    ] {
        let event = by_process(7, b"app", closes(old, 0, evidence));
        assert_eq!(with_reset([event.clone()], 0), expected, "{old} {evidence:?}");
        assert_eq!(without_hook(event.clone()), expected, "{old} {evidence:?}: resets are not seen");
        assert_eq!(cause([event.clone()]), None, "{old} {evidence:?}: none was sent");
        let exiting = Event { context: Context { exiting: true, ..event.context.clone() }, ..event };
        assert_eq!(
            with_reset([exiting.clone()], 0),
            Some(Cause::ProcessExited),
            "{old} {evidence:?}, exiting"
        );
        assert_eq!(cause([exiting]), Some(Cause::ProcessExited));
    }
}

#[test]
fn the_kernels_reason_comes_before_what_the_socket_lets_suppose() {
    let unread_and_linger = CloseEvidence { unread: 1, ..LINGER };
    for (old, reason, evidence, expected) in [
        (State::ESTABLISHED, 11, CLOSED, Some(Cause::ResetUnread)),
        (State::FIN_WAIT2, 12, CLOSED, Some(Cause::ResetLinger)),
        (State::FIN_WAIT1, 13, CLOSED, Some(Cause::ResetByKernel)),
        // That is not what the kernel says where data is unread.
        (State::ESTABLISHED, 14, unread_and_linger, Some(Cause::ResetLinger)),
        (State::ESTABLISHED, 14, CloseEvidence { unread: 1, ..CLOSED }, None),
    ] {
        let event = by_process(7, b"app", closes(old, 0, evidence));
        assert_eq!(with_reset([event], reason), expected, "{old} {reason} {evidence:?}");
    }
}

#[test]
fn what_connect_comes_to() {
    let mute = CloseEvidence { segs_out: 0, ..NONE };
    let closed = CloseEvidence { segs_out: 0, ..CLOSED };
    let (bound, fresh) = ((Fact::Bound, true), (Fact::Sequenced, false));
    for (lport, evidence, expected) in [
        (80, NONE, Some(Cause::ConnectCancelled)),
        (80, closed, Some(Cause::ConnectCancelled)),
        (0, mute, Some(Cause::NoLocalPort)),
        (0, said(mute, &[(Fact::Bound, false), fresh, (Fact::Deferred, false)]), Some(Cause::NoLocalPort)),
        // One that was connected before keeps what it had: whether a port was found is not to be seen.
        (80, said(mute, &[(Fact::Bound, false), (Fact::Sequenced, true)]), None),
        (80, mute, None),
        (80, said(mute, &[bound, fresh]), Some(Cause::EndsInUse)),
        (80, said(mute, &[bound, (Fact::Sequenced, true)]), None),
        (80, said(mute, &[(Fact::Deferred, true)]), Some(Cause::ConnectCancelled)),
        (
            80,
            said(mute, &[bound, (Fact::Deferred, true), (Fact::Sequenced, true)]),
            Some(Cause::ConnectCancelled),
        ),
    ] {
        let event = by_process(7, b"app", closes(State::SYN_SENT, 0, evidence)).lport(lport);
        assert_eq!(cause([event.clone()]), expected, "{lport} {evidence:?}");
        assert_eq!(cause([Event { context_owns: false, ..event }]), None, "nobody acts");
    }
    let exits = by_process(7, b"app", closes(State::SYN_SENT, 0, closed));
    let exits = Event { context: Context { exiting: true, ..exits.context.clone() }, ..exits };
    assert_eq!(cause([exits]), Some(Cause::ProcessExited));
}

#[test]
fn closing_under_repair_sends_nothing() {
    let repaired = said(CloseEvidence { unread: 9, ..LINGER }, &[(Fact::Repair, true)]);
    let event = by_process(7, b"criu", closes(State::ESTABLISHED, 0, repaired));
    assert_eq!(cause([event.clone()]), Some(Cause::RepairClose));
    assert_eq!(without_hook(event), Some(Cause::RepairClose));
    let over = said(CloseEvidence { unread: 9, ..CLOSED }, &[(Fact::Repair, false)]);
    assert_eq!(
        with_reset([by_process(7, b"criu", closes(State::ESTABLISHED, 0, over))], 0),
        Some(Cause::ResetUnread)
    );
    let fails = said(CloseEvidence { segs_out: 0, ..NONE }, &[(Fact::Repair, true), (Fact::Sequenced, true)]);
    assert_eq!(cause([by_process(7, b"criu", closes(State::SYN_SENT, 0, fails))]), None, "connect() fails");
}

/// A child of the listener at 192.0.2.1:80, by its first event.
fn child() -> Event {
    Event { ktime_ns: 1, ..event(1, 1, State::LISTEN, State::SYN_RECV) }
}

#[test]
fn never_accepted_needs_the_end_of_its_listener_in_that_call() {
    let stop = |ktime_ns, lport| {
        let closes = Event { ktime_ns, ..closes(State::LISTEN, 0, CLOSED) }.lport(lport).rport(0);
        Event { skaddr: 2, cookie: 2, ..by_process(7, b"app", closes) }
    };
    let thrown_away = |by| {
        let closed = closes(State::ESTABLISHED, 0, NONE);
        let context = Context { tid: by, pid: by, ..closed.context.clone() };
        Event { context, ..closed }
    };
    let ends = |events: [Event; 3]| {
        let told = track(&mut tracker(), events);
        told.last().unwrap().closing.as_ref().unwrap().cause
    };
    assert_eq!(ends([child(), stop(SECOND - 9, 80), thrown_away(7)]), Some(Cause::ListenerClosed));
    assert_eq!(ends([child(), stop(SECOND - 9, 81), thrown_away(7)]), None, "another listener");
    assert_eq!(ends([child(), stop(SECOND - 9, 80), thrown_away(8)]), None, "another thread");
    assert_eq!(ends([child(), stop(9, 80), thrown_away(7)]), None, "another call");
    let client = by_process(7, b"app", event(1, 1, State::CLOSE, State::SYN_SENT));
    assert_eq!(ends([client, stop(SECOND - 9, 80), thrown_away(7)]), None, "no child");
    assert_eq!(cause([child(), closes(State::ESTABLISHED, 0, NONE)]), None);
    let late = closes(State::FIN_WAIT1, 0, CLOSED);
    assert_eq!((cause([late.clone()]), without_hook(late.clone())), (None, Some(Cause::ResetByKernel)));
    assert_eq!(with_reset([late], 0), Some(Cause::ResetByKernel));
}

/// A queue is thrown away one by one, which takes its time.
#[test]
fn a_long_queue_goes_with_its_listener() {
    let stop = Event { ktime_ns: SECOND, ..closes(State::LISTEN, 0, CLOSED) }.rport(0);
    let mut events = vec![Event { skaddr: 9_999, cookie: 9_999, ..by_process(7, b"app", stop) }];
    for number in 1..20 {
        let closed = Event { skaddr: number, ..closes(State::ESTABLISHED, 0, NONE) };
        let context = Context { tid: 7, pid: 7, ..closed.context.clone() };
        events.push(Event { ktime_ns: SECOND + number * SECOND / 20, context, ..closed });
    }
    let told = track(&mut tracker(), events);
    assert!(told[1..].iter().all(|told| told.closing.as_ref().unwrap().cause == Some(Cause::ListenerClosed)));
}

#[test]
fn the_child_of_another_cpu_is_no_connection() {
    let dropped = |evidence| Event { ktime_ns: 2, ..closes(State::SYN_RECV, 0, evidence) };
    let mut tracker = tracker();
    let told = track(&mut tracker, [child(), dropped(said(NONE, &[(Fact::Bound, true)]))]);
    assert_eq!(told[1].closing.as_ref().unwrap().cause, Some(Cause::SecondChild));
    assert!(!told[1].ends_connection() && tracker.second_children() == 1 && tracker.is_empty());
    assert_eq!(
        cause([child(), dropped(said(NONE, &[(Fact::Bound, false)]))]),
        None,
        "its port was given back"
    );
    assert_eq!(cause([child(), dropped(NONE)]), None, "not known");
    let client = by_process(7, b"app", event(1, 1, State::CLOSE, State::SYN_SENT));
    let bound = dropped(said(NONE, &[(Fact::Bound, true)]));
    assert_eq!(cause([client, bound]), None, "a client keeps the port that it was bound to");
}

#[test]
fn a_listener_on_an_address_in_use() {
    let listened = |so| said(NONE, &[(Fact::Listened, so)]);
    let end = |begins: Event, evidence, pid| {
        let closes =
            Event { ktime_ns: 9_000, ..by_process(pid, b"nginx", closes(State::LISTEN, 0, evidence)) };
        let told = track(&mut tracker(), [begins, closes]);
        let owner = told[1].owner.as_ref().map(|owner| owner.pid);
        (told[1].closing.as_ref().unwrap().cause, owner)
    };
    let first = || listens(1, 1_000, 7);
    assert_eq!(
        end(first(), listened(false), 7),
        (Some(Cause::AddressInUse), Some(7)),
        "however long it took"
    );
    assert_eq!(end(first(), CLOSED, 7), (Some(Cause::StoppedListening), Some(7)));
    assert_eq!(
        end(first(), listened(true), 7),
        (Some(Cause::StoppedListening), Some(7)),
        "shutdown() at once"
    );
    assert_eq!(end(first(), NONE, 7), (None, Some(7)), "not known");
    // `ss -K` leaves nothing at the socket; whoever it is, the listener is not theirs.
    assert_eq!(end(first(), listened(true), 8), (None, Some(7)));
    assert_eq!(
        end(first(), said(CLOSED, &[(Fact::Listened, true)]), 8),
        (Some(Cause::StoppedListening), Some(8))
    );
    let again = Event { has_listened: true, ..first() };
    assert_eq!(end(again.clone(), listened(true), 7), (None, Some(7)), "listen() may have failed");
    assert_eq!(end(again, said(CLOSED, &[(Fact::Listened, true)]), 7).0, Some(Cause::StoppedListening));
}

#[test]
fn a_listener_that_is_destroyed_keeps_its_owner() {
    let kill = |late_ns, cookie| {
        let mut tracker = tracker();
        let evidence = said(NONE, &[(Fact::Listened, true)]);
        let closes = by_process(8, b"ss", closes(State::LISTEN, 0, evidence));
        let ktime_ns = closes.ktime_ns + late_ns;
        tracker.ahead(Signal::Abort(Abort { ktime_ns, skaddr: 1, cookie }));
        let told = track(&mut tracker, [listens(1, 1_000, 7), closes]);
        (told[1].closing.as_ref().unwrap().cause, told[1].owner.as_ref().map(|owner| owner.pid))
    };
    let cookie = listens(1, 1_000, 7).cookie;
    assert_eq!(kill(9, cookie), (Some(Cause::Killed), Some(7)));
    assert_eq!(kill(9, 0), (Some(Cause::Killed), Some(7)));
    assert_eq!(kill(9, cookie + 1), (None, Some(7)), "another one's");
    assert_eq!(kill(SECOND, cookie), (None, Some(7)), "later");
}

#[test]
fn a_reset_from_this_host_is_known_by_its_other_end() {
    /// How long before, and which addresses and ports the socket had that sent it.
    type Sent = (u64, [u8; 4], [u8; 4], (u16, u16));
    let here = |laddr: [u8; 4], raddr: [u8; 4], sent: Option<Sent>| {
        let mut tracker = tracker();
        let event = closes(State::ESTABLISHED, 104, NONE).laddr(laddr.into()).raddr(raddr.into());
        assert_eq!((event.flow.local.port, event.flow.remote.port), (80, 40_000));
        tracker.ahead(reset(event.ktime_ns - 5, (80, 40_000), false, 0));
        if let Some((before_ns, laddr, raddr, ports)) = sent {
            let (ktime_ns, skaddr) = (event.ktime_ns - before_ns, 2);
            tracker.ahead(Signal::Reset(Reset { ktime_ns, skaddr, cookie: 0, ports, sent: true, reason: 0 }));
            let sender = Event {
                ktime_ns: ktime_ns - 1,
                skaddr,
                cookie: 0,
                flow: Flow {
                    netns: Some(9),
                    local: Endpoint::new(laddr.into(), ports.0),
                    remote: Endpoint::new(raddr.into(), ports.1),
                },
                ..closes(State::ESTABLISHED, 0, LINGER)
            };
            track(&mut tracker, [by_process(7, b"app", sender)]);
        }
        track(&mut tracker, [event])[0].closing.as_ref().unwrap().peer_is_here
    };
    let (local, other, third) = ([192, 0, 2, 1], [198, 51, 100, 7], [198, 51, 100, 8]);
    let ports = (40_000, 80);
    assert!(here(local, local, None));
    assert!(here([127, 0, 0, 1], [127, 0, 0, 2], None));
    assert!(!here(local, other, None));
    assert!(here(local, other, Some((90, other, local, ports))), "in another namespace");
    assert!(!here(local, other, Some((90, other, local, (80, 40_000)))), "these are not its ports");
    assert!(!here(local, other, Some((90, third, local, ports))), "that is not its address");
    assert!(!here(local, other, Some((90, other, third, ports))), "it was sent to somebody else");
    assert!(!here(local, other, Some((SECOND / 2, other, local, ports))), "that was before");
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
    assert_eq!(with_reset([by_close(unread)], 0), Some(Cause::ResetUnread));
    assert_eq!(with_reset([by_close(LINGER)], 0), Some(Cause::ResetLinger));
    assert_eq!(without_hook(by_close(unread)), Some(Cause::ResetUnread));
    assert_eq!(cause([by_close(unread)]), None, "it must have sent one, and none was seen");
    assert_eq!(cause([by_close(CLOSED)]), Some(Cause::ActiveClose));
    assert_eq!(cause([last(unread)]), Some(Cause::ActiveClose), "a packet ends it");
    let fin = CloseEvidence { flags: EvidenceFlags::DONE, ..unread };
    assert_eq!(cause([by_close(fin)]), Some(Cause::ActiveClose), "the peer's FIN ends it");
}
