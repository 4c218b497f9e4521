//! Floods of SYNs, and honest clients that look like one.

use tcptrace_core::{
    diagnosis::detect::{Detectors, Options, Sample, Seen},
    model::{
        finding::{Finding, Level, Severity},
        half_open::{End, Source, What},
        limits::Limits,
        socket::{Kind, Timer, TimerKind},
        state::State,
    },
};

use crate::common::shown::{Show as _, Shown};
use crate::common::{
    half_open,
    scans::{evidence, scan, socket, with_counters},
};

const BEGIN: What = What::Begin(Source::Syn);
const COMPLETED: What = What::End(End::Completed);

/// A listener with this backlog, so many connections that wait to be accepted, and so many drops.
fn listener(backlog: u32, waiting: u32, drops: Option<u32>) -> Seen {
    let mut seen = socket(State::LISTEN, 999, 812);
    (seen.socket.send_queue, seen.socket.recv_queue, seen.socket.drops) = (backlog, waiting, drops);
    seen
}

/// A half-open connection, whose SYN-ACK was sent again so often.
fn request(number: u16, retransmits: u8) -> Seen {
    let mut seen = socket(State::SYN_RECV, number, 812);
    (seen.socket.kind, seen.socket.inode) = (Kind::Request, None);
    seen.socket.flow.remote.address = [203, 0, 113, u8::try_from(number % 250).unwrap()].into();
    seen.socket.timer = Some(Timer { kind: TimerKind::On, expires_ms: 1, retransmits });
    seen
}

/// Eighty without an answer.
fn requests() -> Vec<Seen> {
    (0..80).map(|number| request(number, 1)).collect()
}

/// What is found after these happened to each of 80 clients, between two scans.
fn found(whats: &[What], first: &Sample, last: &Sample) -> Option<Finding> {
    let mut detectors = Detectors::new(Options::default());
    detectors.sample(first);
    for peer in 0..80 {
        for what in whats {
            detectors.show(&Shown::HalfOpen(half_open([203, 0, 113, peer], *what, 80)));
        }
    }
    detectors.sample(last);
    detectors.findings().into_iter().find(|finding| finding.id == "syn-flood")
}

/// A flood of a listener, while counters grow by these numbers.
fn flood(counters: &[(&str, u64)], last: Vec<Seen>) -> Finding {
    let none: Vec<(&str, u64)> = counters.iter().map(|(name, _)| (*name, 0)).collect();
    let first = last.iter().filter(|seen| seen.socket.state == State::LISTEN).cloned().map(|mut seen| {
        seen.socket.drops = seen.socket.drops.map(|_| 0);
        seen
    });
    let first = with_counters(scan(0, first.collect()), &none, Limits::default());
    let last = last.into_iter().chain(requests()).collect();
    let last = with_counters(scan(1, last), counters, Limits::default());
    found(&[BEGIN, What::Retransmit], &first, &last).unwrap()
}

/// A SYN raises several counters: each is told as `nstat` tells it.
#[test]
fn a_flood_counts_each_syn_once() {
    let found = flood(&[("SyncookiesSent", 50), ("TCPReqQFullDoCookies", 50)], vec![]);
    assert_eq!((found.severity, found.harm.as_ref().unwrap().count), (Severity::Critical, 50));
    assert_eq!(evidence(&found, "SyncookiesSent, grown by"), "50 (from 0 to 50)");
    let found = flood(&[("TCPReqQFullDrop", 40), ("ListenDrops", 47), ("ListenOverflows", 7)], vec![]);
    assert_eq!((found.severity, found.harm.as_ref().unwrap().count), (Severity::Critical, 40));
    assert_eq!(evidence(&found, "TCPReqQFullDrop, grown by"), "40 (from 0 to 40)");
    assert_eq!(evidence(&found, "ListenDrops, grown by"), "47 (from 0 to 47)");
    assert_eq!(
        evidence(&found, "of these ListenOverflows (full accept queues), grown by"),
        "7 (from 0 to 7)"
    );
    assert_eq!(evidence(&found, "without an answer"), "80");
}

/// Without cookies the last quarter of `tcp_max_syn_backlog` is kept, and what is dropped for that is in `ListenDrops` only.
#[test]
fn nobody_is_turned_away_while_there_is_room() {
    let severity = |counters: &[(&str, u64)], last: Vec<Seen>| flood(counters, last).severity;
    assert_eq!(severity(&[("ListenDrops", 30), ("ListenOverflows", 30)], vec![]), Severity::Info);
    assert_eq!(severity(&[("ListenDrops", 30), ("ListenOverflows", 29)], vec![]), Severity::Critical);
    let returned = [("SyncookiesSent", 50), ("SyncookiesRecv", 45)];
    assert_eq!(severity(&returned, vec![]), Severity::Info, "honest clients return their cookies");
    let dropped = [("TCPReqQFullDrop", 40), ("ListenDrops", 40)];
    let elsewhere = vec![listener(4_096, 0, Some(0))];
    assert_eq!(severity(&dropped, elsewhere), Severity::Info, "another listener dropped these");
    assert_eq!(severity(&dropped, vec![listener(4_096, 0, Some(40))]), Severity::Critical);
}

#[test]
fn little_room_that_is_left_is_a_warning() {
    let found = |backlog| flood(&[], vec![listener(backlog, 0, Some(0))]);
    assert_eq!(found(4_096).severity, Severity::Info);
    let found = found(96);
    assert_eq!((found.severity, found.confidence.level), (Severity::Warning, Level::High));
    let harm = found.harm.as_ref().unwrap();
    assert_eq!((harm.count, harm.whom.as_str()), (80, "clients of 192.0.2.1:80"));
    assert!(harm.what.contains("of 96"), "{}", harm.what);
}

/// They complete, however many there are at once.
#[test]
fn a_burst_is_no_flood() {
    assert_eq!(found(&[BEGIN, COMPLETED], &scan(0, vec![]), &scan(1, vec![])), None);
    let late = found(&[BEGIN, What::Retransmit, COMPLETED], &scan(0, vec![]), &scan(1, vec![]));
    assert_eq!(late, None, "the first SYN-ACK was lost");
}

/// With `TCP_DEFER_ACCEPT` the kernel keeps a request until data comes. It does not send its SYN-ACK again, since the client
/// has answered, except once at the end, after which the client completes.
#[test]
fn clients_that_have_answered_are_no_flood() {
    let waiting = || (0..300).map(|number| request(number, 0)).chain([listener(4_096, 0, None)]).collect();
    assert_eq!(found(&[BEGIN], &scan(0, waiting()), &scan(30, waiting())), None);
    assert_eq!(found(&[BEGIN, What::Retransmit, COMPLETED], &scan(0, waiting()), &scan(30, waiting())), None);
    let polled = [What::Begin(Source::Poll)];
    assert_eq!(found(&polled, &scan(0, waiting()), &scan(30, waiting())), None, "they were there before");
}

/// They were given up meanwhile.
#[test]
fn what_the_kernel_gave_up_counts() {
    let whats = [BEGIN, What::Retransmit, What::End(End::TimedOut)];
    let found = found(&whats, &scan(0, vec![]), &scan(70, vec![])).unwrap();
    assert_eq!(evidence(&found, "without an answer"), "80");
    let dropped = [BEGIN, What::End(End::Dropped)];
    assert_eq!(self::found(&dropped, &scan(0, vec![]), &scan(1, vec![])), None, "reset by the peer, at once");
}

/// One client behind a bad path.
#[test]
fn one_source_is_no_flood() {
    let mut detectors = Detectors::new(Options::default());
    for _ in 0..80 {
        for what in [BEGIN, What::Retransmit, What::End(End::TimedOut)] {
            detectors.show(&Shown::HalfOpen(half_open([203, 0, 113, 1], what, 80)));
        }
    }
    assert!(detectors.findings().is_empty());
}

/// Who was not seen to be asked again is not known.
#[test]
fn scans_tell_of_a_flood_as_well() {
    let sockets = || (0..100).map(|number| request(number, 2)).chain([listener(4_096, 0, None)]).collect();
    let found = found(&[What::Begin(Source::Poll)], &scan(0, vec![]), &scan(9, sockets()));
    assert_eq!(found, None, "no source of these is known: one client has very many");
}

/// Of a client of this host it is seen that it has answered.
#[test]
fn clients_of_this_host_that_are_established_are_no_flood() {
    let requests = requests();
    let clients = requests.iter().map(|seen| {
        let mut client = socket(State::ESTABLISHED, seen.socket.flow.remote.port - 10_000, 900);
        (client.socket.flow.local.address, client.socket.flow.local.port) =
            (seen.socket.flow.remote.address, seen.socket.flow.remote.port);
        (client.socket.flow.remote.address, client.socket.flow.remote.port) =
            (seen.socket.flow.local.address, seen.socket.flow.local.port);
        client
    });
    let sockets: Vec<Seen> = requests.iter().cloned().chain(clients).collect();
    let whats = [BEGIN, What::Retransmit];
    assert!(found(&whats, &scan(0, vec![]), &scan(2, requests)).is_some());
    assert_eq!(found(&whats, &scan(0, vec![]), &scan(2, sockets)), None);
}

/// An ACK that finds the accept queue full is dropped, and the SYN-ACK is sent again although the client has answered.
#[test]
fn a_full_accept_queue_is_no_flood() {
    let with = |waiting, overflows| {
        let at = |at_s, overflows| {
            let queue = listener(128, waiting, None);
            let sockets = requests().into_iter().chain([queue]).collect();
            with_counters(scan(at_s, sockets), &[("ListenOverflows", overflows)], Limits::default())
        };
        found(&[BEGIN, What::Retransmit], &at(0, 0), &at(2, overflows))
    };
    assert_eq!(with(129, 80), None);
    assert!(with(0, 80).is_some(), "these are another listener's");
    assert!(with(129, 10).is_some(), "ten of eighty");
}
