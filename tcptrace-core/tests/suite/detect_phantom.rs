//! Connections whose client is gone, and those that look like them.

use std::net::{IpAddr, Ipv4Addr};

use tcptrace_core::{
    diagnosis::detect::{Detectors, Options, Sample, Seen, Thresholds},
    model::{
        finding::{Finding, Level, Severity},
        namespace::{LocalAddress, NamespaceSample},
        socket::{Info, Timer, TimerKind},
        state::State,
    },
};

use crate::common::scans::{INFO, commands, evidence, of_kind, scan, socket};

const ID: &str = "phantom-established";

/// A connection of the listener 192.0.2.1:80, on which nothing came for so long.
fn silent(number: u16, ms: u32) -> Seen {
    let mut seen = socket(State::ESTABLISHED, number, 812);
    seen.socket.info = Some(Info {
        last_data_sent_ms: Some(ms),
        last_data_recv_ms: Some(ms),
        last_ack_recv_ms: Some(ms),
        ..INFO
    });
    seen
}

fn listener() -> Seen {
    socket(State::LISTEN, 99, 812)
}

/// Four connections that are silent, and one in use.
fn server() -> Vec<Seen> {
    let silent_ones = (0..4).map(|number| silent(number, 90_000));
    silent_ones.chain([silent(9, 5), listener()]).collect()
}

fn phantoms(sockets: Vec<Seen>) -> Vec<Finding> {
    of_kind(ID, [scan(0, sockets)])
}

/// The other ends of connections: in namespace `netns`, in `state`.
fn other_ends(of: &[Seen], netns: u32, state: State) -> Vec<Seen> {
    let other = |seen: &Seen| {
        let mut other = socket(state, 0, 900);
        other.socket.flow.netns = Some(netns);
        (other.socket.flow.local.address, other.socket.flow.local.port) =
            (seen.socket.flow.remote.address, seen.socket.flow.remote.port);
        (other.socket.flow.remote.address, other.socket.flow.remote.port) =
            (seen.socket.flow.local.address, seen.socket.flow.local.port);
        other
    };
    of.iter().filter(|seen| seen.socket.state == State::ESTABLISHED).map(other).collect()
}

/// A pool, a proxy, a NAT, or clients that have gone: nobody knows, and nobody is harmed.
#[test]
fn silence_is_not_death() {
    let found = phantoms(server()).remove(0);
    assert_eq!((found.severity, &found.harm), (Severity::Info, &None));
    assert!(
        found.summary.starts_with("4 connections to 192.0.2.1:80 are idle, or held"),
        "{}",
        found.summary
    );
    assert_eq!(found.confidence.level, Level::Medium);
    let commands = commands(&found);
    assert!(!commands.contains("ss -tK"), "nobody is told to end what may be in use: {commands}");
}

/// A client of this host is seen for itself: what is still there has not gone.
#[test]
fn a_client_that_is_there_is_no_phantom() {
    let with = |others: Vec<Seen>| phantoms(server().into_iter().chain(others).collect()).len();
    assert_eq!(with(vec![]), 1);
    assert_eq!(with(other_ends(&server(), 1, State::ESTABLISHED)), 0, "in the same namespace");
    assert_eq!(with(other_ends(&server(), 2, State::ESTABLISHED)), 0, "in another one, such as a pod's");
    assert_eq!(
        with(other_ends(&server(), 2, State::FIN_WAIT1)),
        0,
        "it still tells the server that it closes"
    );
    let mut translated = other_ends(&server(), 2, State::ESTABLISHED);
    for other in &mut translated {
        (other.socket.flow.remote.address, other.socket.flow.remote.port) =
            (Ipv4Addr::new(203, 0, 113, 1).into(), 8_080);
    }
    assert_eq!(with(translated), 0, "it knows the service by another address");
}

/// 127.0.0.1 is another host in each namespace.
#[test]
fn a_loopback_client_of_another_namespace_is_another_one() {
    let mut server = server();
    for seen in &mut server {
        (seen.socket.flow.local.address, seen.socket.flow.remote.address) =
            (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::new(127, 0, 0, 6).into());
    }
    let with = |netns| {
        let others = other_ends(&server, netns, State::ESTABLISHED);
        phantoms(server.iter().cloned().chain(others).collect()).len()
    };
    assert_eq!((with(1), with(2)), (0, 1));
}

/// That the client has others in use is measured, not concluded from what is not known to be silent.
#[test]
fn only_connections_in_use_make_others_worth_knowing() {
    let beside = |other: Seen| {
        let silent_ones = (0..4).map(|number| silent(number, 90_000));
        phantoms(silent_ones.chain([other, listener()]).collect())
    };
    assert_eq!(beside(silent(9, 5)).len(), 1);
    let mut kept_alive = silent(9, 90_000);
    kept_alive.socket.timer = Some(Timer { kind: TimerKind::Keepalive, expires_ms: 1, retransmits: 0 });
    assert_eq!(beside(kept_alive.clone()), [], "idle as well");
    kept_alive.socket.info.as_mut().unwrap().last_ack_recv_ms = Some(5);
    assert_eq!(beside(kept_alive), [], "the answer to a probe");
    let mut answered = silent(9, 5);
    answered.socket.info.as_mut().unwrap().last_data_recv_ms = Some(90_000);
    assert_eq!(beside(answered).len(), 1, "what this side sends is acknowledged");
    let mut unknown = silent(9, 5);
    unknown.socket.info = None;
    assert_eq!(beside(unknown), [], "nothing is known of it");
}

/// A connection whose data was sent again so often, last `sent_ms` ago, with the next time in `expires_ms`.
fn unanswered(number: u16, (sent_ms, expires_ms): (u32, u32), retransmits: u8) -> Seen {
    let mut seen = silent(number, 200_000);
    seen.socket.timer = Some(Timer { kind: TimerKind::On, expires_ms, retransmits });
    seen.socket.send_queue = 1_000;
    let info = seen.socket.info.as_mut().unwrap();
    (info.unacked, info.last_data_sent_ms) = (1, Some(sent_ms));
    seen
}

/// Seven times: 0.2 + 0.4 + ... + 12.8 seconds, and 5 of the next 25.6.
const LONG: ((u32, u32), u8) = ((5_000, 20_600), 7);

#[test]
fn data_that_nobody_acknowledges_is_lost() {
    let with = |all: Vec<Seen>| phantoms(all.into_iter().chain([listener()]).collect());
    let found = with((0..3).map(|number| unanswered(number, LONG.0, LONG.1)).collect()).remove(0);
    assert_eq!((found.severity, found.confidence.level), (Severity::Warning, Level::High));
    assert_eq!(
        found.summary,
        "3 connections to 192.0.2.1:80 are held for clients that are gone: data on 3 is not acknowledged"
    );
    assert_eq!(found.harm.as_ref().unwrap().count, 3);
    assert_eq!(evidence(&found, "data that nobody acknowledges"), "3000 bytes");
    let one = with(vec![unanswered(0, LONG.0, LONG.1)]);
    assert_eq!(one, [], "one client vanishes now and then");
    let short = (0..3).map(|number| unanswered(number, (1_000, 5_400), 5)).collect();
    assert_eq!(with(short), [], "for 7 seconds: it may be back soon");
    let many = (0..3).map(|number| unanswered(number, LONG.0, LONG.1));
    let many = many.chain((100..200).map(|number| silent(number, 5))).collect();
    assert_eq!(with(many)[0].severity, Severity::Info, "3 of 103: some clients vanish every day");
}

/// A peer whose window is closed is there: it says so.
#[test]
fn a_closed_window_is_no_death() {
    let probed = |number| {
        let mut seen = unanswered(number, LONG.0, LONG.1);
        seen.socket.timer.as_mut().unwrap().kind = TimerKind::Persist;
        seen.socket.info.as_mut().unwrap().last_ack_recv_ms = Some(5_000);
        seen
    };
    assert_eq!(phantoms((0..3).map(probed).chain([listener()]).collect()), []);
    let answered = |number| {
        let mut seen = unanswered(number, LONG.0, LONG.1);
        seen.socket.info.as_mut().unwrap().last_ack_recv_ms = Some(10);
        seen
    };
    assert_eq!(phantoms((0..3).map(answered).chain([listener()]).collect()), [], "it has answered just now");
}

/// A scan of namespace 1, which has the client's address and tracks so many connections.
fn with_address(at_s: u64, sockets: Vec<Seen>, tracked: Option<u64>) -> Sample {
    let local = LocalAddress {
        address: Ipv4Addr::new(198, 51, 100, 7).into(),
        interface: "eth0".to_owned(),
        running: true,
    };
    let namespace = NamespaceSample {
        addresses: vec![local],
        conntrack: tracked.map(|count| (count, 1_000)),
        ..NamespaceSample::default()
    };
    Sample { namespaces: [(Some(1), namespace)].into(), ..scan(at_s, sockets) }
}

/// The server, and the other end of its connection that is in use.
fn server_with_one_end() -> Vec<Seen> {
    let server = server();
    let end = other_ends(&server[4..5], 1, State::ESTABLISHED);
    server.into_iter().chain(end).collect()
}

#[test]
fn an_end_that_is_not_there_is_gone() {
    let twice = |tracked| {
        let scans = [0, 1].map(|at_s| with_address(at_s, server_with_one_end(), tracked));
        of_kind(ID, scans).remove(0)
    };
    for found in [twice(None), twice(Some(0))] {
        assert_eq!((found.severity, found.confidence.level), (Severity::Warning, Level::High));
        assert!(found.summary.ends_with("gone: the other end of 4 does not exist"), "{}", found.summary);
        assert_eq!(found.harm.as_ref().unwrap().count, 4);
    }
    let translated = twice(Some(3));
    assert_eq!(translated.severity, Severity::Info, "a NAT of this host may stand for others");
}

/// Whatever may hide the other end leaves it unknown.
#[test]
fn an_end_that_may_be_hidden_is_not_gone() {
    let severity = |scans: Vec<Sample>| of_kind(ID, scans).remove(0).severity;
    let once = vec![with_address(0, server_with_one_end(), None)];
    assert_eq!(severity(once), Severity::Info, "a scan is not of one moment");
    let both = |change: &dyn Fn(&mut Sample)| {
        let scans = [0, 1].map(|at_s| {
            let mut scan = with_address(at_s, server_with_one_end(), None);
            change(&mut scan);
            scan
        });
        severity(scans.into())
    };
    assert_eq!(both(&|_| {}), Severity::Warning);
    assert_eq!(both(&|scan| scan.unseen = Some("a namespace".to_owned())), Severity::Info);
    let hide_ends = |scan: &mut Sample| scan.sockets.retain(|seen| seen.socket.flow.local.port == 80);
    assert_eq!(both(&hide_ends), Severity::Info, "a filter hides all of them");
    let of_another = |scan: &mut Sample| {
        let namespace = scan.namespaces.remove(&Some(1)).unwrap();
        scan.namespaces = [(Some(1), NamespaceSample::default()), (Some(2), namespace)].into();
        scan.sockets.last_mut().unwrap().socket.flow.netns = Some(2);
    };
    assert_eq!(both(&of_another), Severity::Warning, "a pod's");
    let of_two = |scan: &mut Sample| {
        of_another(scan);
        let namespace = scan.namespaces[&Some(2)].clone();
        scan.namespaces.insert(Some(3), namespace);
    };
    assert_eq!(both(&of_two), Severity::Info, "two networks have the same addresses");
    let only = Options { of_one_process: true, ..Options::default() };
    let mut detectors = Detectors::new(only);
    (0..3).for_each(|at_s| detectors.sample(&with_address(at_s, server_with_one_end(), None)));
    assert_eq!(detectors.findings()[0].severity, Severity::Info, "it may be another process's");
}

/// Scans five seconds apart: at each, the connections by number, and when something was last heard on each.
fn scans(scans: &[&[(u16, u64)]]) -> Option<Finding> {
    let thresholds = Thresholds::parse("[phantom-established]\nidle_s = 10").unwrap();
    let mut detectors =
        Detectors::new(Options { thresholds, only: vec![ID.to_owned()], ..Options::default() });
    for (index, connections) in (0..).zip(scans) {
        let at_ms = index * 5_000;
        let connections = connections.iter().map(|(number, heard_s)| {
            silent(*number, u32::try_from(at_ms - (heard_s * 1_000).min(at_ms)).unwrap())
        });
        detectors.sample(&scan(index * 5, connections.chain([listener()]).collect()));
    }
    detectors.findings().pop()
}

#[test]
fn a_client_that_comes_back_each_time_has_left_the_others() {
    let found = scans(&[
        &[],
        &[(1, 5)],
        &[(1, 5), (2, 9)],
        &[(1, 5), (2, 9), (3, 14)],
        &[(1, 5), (2, 9), (3, 14), (4, 19)],
        &[(1, 5), (2, 9), (3, 14), (4, 25)],
    ])
    .unwrap();
    assert_eq!((found.severity, found.confidence.level), (Severity::Warning, Level::Medium));
    assert!(
        found.summary.ends_with("gone: the clients of 3 have come back on other connections"),
        "{}",
        found.summary
    );
    assert_eq!(found.peers[0].address, IpAddr::from(Ipv4Addr::new(198, 51, 100, 7)));
}

/// What has several connections in use, or had, is no client that was cut off.
#[test]
fn a_pool_has_several_connections() {
    let severity = |at: &[&[(u16, u64)]]| scans(at).map_or(Severity::Info, |found| found.severity);
    let speaks_again: &[&[(u16, u64)]] = &[
        &[],
        &[(1, 5)],
        &[(1, 5), (2, 9)],
        &[(1, 14), (2, 9), (3, 14)],
        &[(1, 14), (2, 9), (3, 14), (4, 19)],
        &[(1, 14), (2, 9), (3, 14), (4, 29)],
        &[(1, 14), (2, 9), (3, 14), (4, 29)],
    ];
    assert_eq!(severity(speaks_again), Severity::Info, "an older one was in use again");
    let from_the_start: &[&[(u16, u64)]] = &[
        &[(1, 0), (2, 0)],
        &[(1, 0), (2, 0), (3, 4)],
        &[(1, 0), (2, 0), (3, 4), (4, 9)],
        &[(1, 0), (2, 0), (3, 4), (4, 9), (5, 14)],
        &[(1, 0), (2, 0), (3, 4), (4, 9), (5, 20)],
    ];
    assert_eq!(severity(from_the_start), Severity::Info, "it had several from the start");
    let at_once: &[&[(u16, u64)]] = &[
        &[],
        &[(1, 5), (2, 5)],
        &[(1, 5), (2, 5), (3, 9)],
        &[(1, 5), (2, 5), (3, 9), (4, 14)],
        &[(1, 5), (2, 5), (3, 9), (4, 14), (5, 19)],
        &[(1, 5), (2, 5), (3, 9), (4, 14), (5, 25)],
    ];
    assert_eq!(severity(at_once), Severity::Info, "it began two at once");
    let once: &[&[(u16, u64)]] =
        &[&[(1, 0)], &[(1, 0), (2, 5)], &[(1, 0), (2, 10)], &[(1, 0), (2, 15), (3, 11)], &[(1, 0), (2, 20)]];
    assert_eq!(severity(once), Severity::Info, "once is no habit");
}

/// Where idle connections end after a time, those that do not yet are not held for long.
#[test]
fn a_program_with_a_timeout_holds_nothing_for_long() {
    let found = scans(&[
        &[],
        &[(1, 5)],
        &[(1, 5), (2, 9)],
        &[(1, 5), (2, 9), (3, 14)],
        &[(1, 5), (2, 9), (3, 14), (4, 19)],
        &[(2, 9), (3, 14), (4, 25)],
    ]);
    assert!(found.is_none_or(|found| found.severity == Severity::Info));
}

/// What it says to end is one phantom, neither connections in use nor UDP.
#[test]
fn one_phantom_is_ended_by_both_its_ends() {
    let gone = |change: &dyn Fn(&mut Seen)| {
        let mut all: Vec<Seen> = (0..3).map(|number| unanswered(number, LONG.0, LONG.1)).collect();
        all[2].socket.info.as_mut().unwrap().last_data_recv_ms = Some(201_000);
        all[2].socket.info.as_mut().unwrap().last_ack_recv_ms = Some(201_000);
        all.push(listener());
        all.iter_mut().for_each(change);
        commands(&phantoms(all)[0])
    };
    let v4 = gone(&|_| {});
    assert!(v4.contains("ss -tK dst 198.51.100.7 dport = :10002 sport = :80"), "{v4}");
    let v6 = gone(&|seen| seen.socket.flow.remote.address = "2001:db8::7".parse().unwrap());
    assert!(v6.contains("ss -tK dst [2001:db8::7] dport = :10002 sport = :80"), "{v6}");
}
