//! Detectors on made-up scans: what looks like a fault and is none, and evidence that says no more than was measured.

use tcptrace_core::{
    diagnosis::detect::{Sample, Seen},
    model::{
        finding::{Finding, Level, Severity},
        limits::Limits,
        socket::{Info, Timer, TimerKind},
        state::State,
    },
};

use crate::common::scans::{INFO, SECOND, evidence, findings, of_kind, scan, socket, who, with_counters};

fn for_seconds(mut seen: Seen, seconds: u64) -> Seen {
    seen.socket.age_at_least_ns = Some(seconds * SECOND);
    seen
}

/// Of a hung server with several workers: none of them has what was never accepted.
#[test]
fn what_waits_to_be_accepted_is_no_leak() {
    let waiting = |inode: Option<u64>| {
        let one = |number| {
            let mut seen = for_seconds(socket(State::CLOSE_WAIT, number, 812), 30);
            (seen.socket.inode, seen.owners) = (inode, (0..3).map(|worker| who(812 + worker)).collect());
            seen
        };
        scan(1_000, (0..100).map(one).collect())
    };
    let found = of_kind("close-wait-leak", [waiting(Some(7))]);
    assert_eq!(found.len(), 1, "each counts once, whoever has it");
    assert_eq!(found[0].owners.iter().map(|who| who.pid).collect::<Vec<_>>(), [812, 813, 814]);
    assert_eq!(of_kind("close-wait-leak", [waiting(None)]), []);
}

#[test]
fn a_leak_tells_what_there_was_at_the_first_look_of_all() {
    let leaked = |at_s: u64, count: u16| {
        let one = |number| for_seconds(socket(State::CLOSE_WAIT, number, 812), 20);
        scan(1_000 + at_s, (0..count).map(one).collect())
    };
    let first = |scans: Vec<Sample>| {
        let found = of_kind("close-wait-leak", scans).remove(0);
        (evidence(&found, "at the first scan"), found.confidence.level)
    };
    let again = vec![leaked(0, 10), leaked(1, 0), leaked(2, 10)];
    assert_eq!(first(again), ("10".to_owned(), Level::Medium), "it does not grow");
    assert_eq!(first(vec![leaked(0, 0), leaked(1, 10)]), ("0".to_owned(), Level::High));
}

/// A queue of five that was full at one scan, in a namespace that turned away 1000, some of it at this listener.
fn full_once(drops: [Option<u32>; 2]) -> Finding {
    let queue = |at_s, waiting, drops| {
        let mut seen = socket(State::LISTEN, 0, 812);
        (seen.socket.recv_queue, seen.socket.send_queue, seen.socket.drops) = (waiting, 5, drops);
        with_counters(scan(at_s, vec![seen]), &[("ListenOverflows", 1_000 * at_s)], Limits::default())
    };
    of_kind("accept-queue-overflow", [queue(0, 0, drops[0]), queue(1, 6, drops[1])]).remove(0)
}

/// `ListenOverflows` is that of all listeners of a namespace; each counts its own drops.
#[test]
fn overflows_of_another_listener_are_not_its() {
    let severity = |drops| full_once(drops).severity;
    assert_eq!(severity([Some(40), Some(40)]), Severity::Info, "it dropped nothing");
    assert_eq!(severity([None, None]), Severity::Critical, "nobody knows");
    let found = full_once([Some(40), Some(43)]);
    assert_eq!(found.severity, Severity::Critical, "it is full at the last scan");
    assert!(found.summary.ends_with("turned away 3 times"), "{}", found.summary);
    assert_eq!(evidence(&found, "dropped at this listener"), "3");
    let found = full_once([Some(40), Some(4)]);
    assert!(found.summary.ends_with("turned away 4 times"), "another one in its place: {}", found.summary);
}

/// What a listener dropped before it was seen for the first time belongs to the watch where it began in it.
#[test]
fn a_listener_that_begins_in_the_watch_has_dropped_all_of_it_there() {
    let mut seen = socket(State::LISTEN, 0, 812);
    (seen.socket.recv_queue, seen.socket.send_queue, seen.socket.drops) = (6, 5, Some(3));
    let scans = [(0, vec![]), (1, vec![seen])].map(|(at_s, sockets)| {
        with_counters(scan(at_s, sockets), &[("ListenOverflows", 20 * at_s)], Limits::default())
    });
    let found = of_kind("accept-queue-overflow", scans).remove(0);
    assert!(found.summary.ends_with("turned away 3 times"), "{}", found.summary);
}

/// Five connections in a state for 100 seconds, with the last signs of life so many milliseconds ago.
fn closing(
    state: State,
    netns: u32,
    [sent, received, acknowledged]: [u32; 3],
    (timer, retransmits): (TimerKind, u8),
) -> Vec<Seen> {
    let one = |number| {
        let mut seen = for_seconds(socket(state, number, 812), 100);
        seen.socket.flow.netns = Some(netns);
        seen.socket.timer = Some(Timer { kind: timer, expires_ms: 1, retransmits });
        seen.socket.info = Some(Info {
            last_data_sent_ms: Some(sent),
            last_data_recv_ms: Some(received),
            last_ack_recv_ms: Some(acknowledged),
            ..INFO
        });
        seen
    };
    (0..5).map(one).collect()
}

/// `close()` begins FIN_WAIT1 while megabytes are still to be sent, and a half-closed connection may be in use.
#[test]
fn what_is_still_acknowledged_is_not_stuck() {
    const LONG: u32 = 90_000;
    let found = |state, times, timer, retransmits| {
        findings([scan(0, closing(state, 1, times, (timer, retransmits)))]).len()
    };
    for state in [State::FIN_WAIT1, State::LAST_ACK, State::CLOSING] {
        assert_eq!(found(state, [LONG, LONG, LONG], TimerKind::On, 0), 1);
        assert_eq!(found(state, [5, LONG, LONG], TimerKind::On, 2), 1, "sent, and not acknowledged");
        assert_eq!(found(state, [LONG, LONG, 5], TimerKind::On, 0), 0, "{state} goes on");
        assert_eq!(found(state, [LONG, LONG, 5], TimerKind::On, 4), 1, "the peer's FIN, sent again");
        assert_eq!(
            found(state, [LONG, LONG, 5], TimerKind::Persist, 4),
            1,
            "an answer to a probe of its window"
        );
        assert_eq!(found(state, [5, LONG, 5], TimerKind::Persist, 0), 0, "its window was open just now");
    }
    assert_eq!(found(State::FIN_WAIT2, [LONG, LONG, LONG], TimerKind::Keepalive, 0), 1);
    assert_eq!(found(State::FIN_WAIT2, [LONG, 5, LONG], TimerKind::Keepalive, 0), 0, "the peer still sends");
}

/// One in each of five pods is no pile, and five in each of two are two.
#[test]
fn each_namespace_has_a_pile_of_its_own() {
    let stuck = |netns| closing(State::LAST_ACK, netns, [90_000; 3], (TimerKind::On, 4));
    let one_each = (1..=5).map(|netns| stuck(netns).remove(0)).collect();
    assert_eq!(findings([scan(0, one_each)]), []);
    let found = findings([scan(0, [stuck(1), stuck(2)].concat())]);
    let namespaces: Vec<Option<u32>> = found.iter().map(|finding| finding.netns).collect();
    assert_eq!(namespaces, [Some(1), Some(2)]);
    assert_ne!(found[0].key(), found[1].key());
}
