//! Detectors on made-up looks: what looks like a fault and is none, and evidence that says no more than was measured.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::net::{IpAddr, Ipv4Addr};

use common::{
    half_open,
    looks::{INFO, SECOND, findings, look, socket, who},
};
use tcptrace::{
    detect::{Detectors, Finding, Level, Limits, NamespaceSample, Options, Sample, Seen, Severity},
    half_open::{Source, What},
    record::Record,
    snapshot::{Info, Timer, TimerKind},
    state::State,
};

/// The findings of a kind.
fn of_kind(id: &str, looks: impl IntoIterator<Item = Sample>) -> Vec<Finding> {
    findings(looks).into_iter().filter(|finding| finding.id == id).collect()
}

fn evidence<'a>(finding: &'a Finding, name: &str) -> &'a str {
    let one = finding.evidence.iter().find(|evidence| evidence.name == name);
    one.map_or_else(|| panic!("no {name} in {finding:#?}"), |evidence| evidence.value.as_str())
}

fn commands(finding: &Finding) -> String {
    let commands: Vec<&str> = finding.next_steps.iter().filter_map(|step| step.command.as_deref()).collect();
    commands.join("\n")
}

fn for_seconds(mut seen: Seen, seconds: u64) -> Seen {
    seen.socket.age_at_least_ns = Some(seconds * SECOND);
    seen
}

/// A look at namespace 1 with these counters and settings.
fn with_counters(look: Sample, counters: &[(&str, u64)], limits: Limits) -> Sample {
    let counters = counters.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    Sample {
        namespaces: [(Some(1), NamespaceSample { counters, limits, ..NamespaceSample::default() })].into(),
        ..look
    }
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
        look(1_000, (0..100).map(one).collect())
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
        look(1_000 + at_s, (0..count).map(one).collect())
    };
    let first = |looks: Vec<Sample>| {
        let found = of_kind("close-wait-leak", looks).remove(0);
        (evidence(&found, "at the first scan").to_owned(), found.confidence.level)
    };
    let again = vec![leaked(0, 10), leaked(1, 0), leaked(2, 10)];
    assert_eq!(first(again), ("10".to_owned(), Level::Medium), "it does not grow");
    assert_eq!(first(vec![leaked(0, 0), leaked(1, 10)]), ("0".to_owned(), Level::High));
}

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

/// Four connections that are silent, and one in use.
fn server() -> Vec<Seen> {
    let silent_ones = (0..4).map(|number| silent(number, 90_000));
    silent_ones.chain([silent(9, 5), socket(State::LISTEN, 99, 812)]).collect()
}

fn phantoms(sockets: Vec<Seen>) -> Vec<Finding> {
    of_kind("phantom-established", [look(0, sockets)])
}

/// The other ends of connections: in namespace `netns`, in `state`.
fn other_ends(of: &[Seen], netns: u32, state: State) -> Vec<Seen> {
    let other = |seen: &Seen| {
        let mut other = socket(state, 0, 900);
        other.socket.netns = Some(netns);
        (other.socket.laddr, other.socket.lport) = (seen.socket.raddr, seen.socket.rport);
        (other.socket.raddr, other.socket.rport) = (seen.socket.laddr, seen.socket.lport);
        other
    };
    of.iter().filter(|seen| seen.socket.state == State::ESTABLISHED).map(other).collect()
}

/// A client of this host is seen for itself: what is still there has not gone.
#[test]
fn a_client_that_is_there_is_no_phantom() {
    let with = |others: Vec<Seen>| phantoms(server().into_iter().chain(others).collect()).len();
    assert_eq!(with(vec![]), 1);
    assert_eq!(with(other_ends(&server(), 1, State::ESTABLISHED)), 0, "in the same namespace");
    assert_eq!(with(other_ends(&server(), 2, State::ESTABLISHED)), 0, "in another one, such as a pod's");
    assert_eq!(with(other_ends(&server(), 2, State::FIN_WAIT1)), 1, "it has closed, and nobody heard it");
    let mut translated = other_ends(&server(), 2, State::ESTABLISHED);
    for other in &mut translated {
        (other.socket.raddr, other.socket.rport) = (Ipv4Addr::new(203, 0, 113, 1).into(), 8_080);
    }
    assert_eq!(with(translated), 0, "it knows the service by another address");
}

/// 127.0.0.1 is another host in each namespace.
#[test]
fn a_loopback_client_of_another_namespace_is_another_one() {
    let mut server = server();
    for seen in &mut server {
        (seen.socket.laddr, seen.socket.raddr) =
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
fn only_connections_in_use_make_phantoms_of_the_others() {
    let beside = |other: Seen| {
        let silent_ones = (0..4).map(|number| silent(number, 90_000));
        phantoms(silent_ones.chain([other, socket(State::LISTEN, 99, 812)]).collect())
    };
    let found = beside(silent(9, 5)).remove(0);
    assert!(found.summary.ends_with("while the same client has others in use"), "{}", found.summary);
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

/// What it says to end is one phantom, neither connections in use nor UDP.
#[test]
fn one_phantom_is_ended_by_both_its_ends() {
    let mut server = server();
    server[2] = silent(2, 95_000);
    let found = phantoms(server.clone()).remove(0);
    assert!(commands(&found).contains("ss -tK dst 198.51.100.7 dport = :10002 sport = :80"), "{found:#?}");
    for seen in &mut server {
        seen.socket.raddr = "2001:db8::7".parse::<IpAddr>().unwrap();
    }
    let found = phantoms(server).remove(0);
    assert!(commands(&found).contains("ss -tK dst [2001:db8::7] dport = :10002 sport = :80"), "{found:#?}");
}

/// A queue of five that was full at one look, in a namespace that turned away 1000, some of it at this listener.
fn full_once(drops: [Option<u32>; 2]) -> Finding {
    let queue = |at_s, waiting, drops| {
        let mut seen = socket(State::LISTEN, 0, 812);
        (seen.socket.recv_queue, seen.socket.send_queue, seen.socket.drops) = (waiting, 5, drops);
        with_counters(look(at_s, vec![seen]), &[("ListenOverflows", 1_000 * at_s)], Limits::default())
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
    let looks = [(0, vec![]), (1, vec![seen])].map(|(at_s, sockets)| {
        with_counters(look(at_s, sockets), &[("ListenOverflows", 20 * at_s)], Limits::default())
    });
    let found = of_kind("accept-queue-overflow", looks).remove(0);
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
        seen.socket.netns = Some(netns);
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
        findings([look(0, closing(state, 1, times, (timer, retransmits)))]).len()
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
    assert_eq!(findings([look(0, one_each)]), []);
    let found = findings([look(0, [stuck(1), stuck(2)].concat())]);
    let namespaces: Vec<Option<u32>> = found.iter().map(|finding| finding.netns).collect();
    assert_eq!(namespaces, [Some(1), Some(2)]);
    assert_ne!(found[0].key(), found[1].key());
}

/// A flood of a listener, while counters grow by these numbers.
fn flood(counters: &[(&str, u64)]) -> Finding {
    let mut detectors = Detectors::new(Options::default());
    let none: Vec<(&str, u64)> = counters.iter().map(|(name, _)| (*name, 0)).collect();
    detectors.sample(&with_counters(look(0, vec![]), &none, Limits::default()));
    for peer in 0..80 {
        for what in [What::Begin(Source::Syn), What::Retransmit] {
            detectors.record(&Record::HalfOpen(half_open([203, 0, 113, peer], what, 80)));
        }
    }
    detectors.sample(&with_counters(look(1, vec![]), counters, Limits::default()));
    detectors.findings().into_iter().find(|finding| finding.id == "syn-flood").unwrap()
}

/// A SYN raises several counters: each is told as `nstat` tells it.
#[test]
fn a_flood_counts_each_syn_once() {
    let found = flood(&[("SyncookiesSent", 50), ("TCPReqQFullDoCookies", 50)]);
    assert_eq!(found.severity, Severity::Critical);
    assert_eq!(evidence(&found, "SyncookiesSent, grown by"), "50 (from 0 to 50)");
    let found = flood(&[("TCPReqQFullDrop", 40), ("ListenDrops", 47), ("ListenOverflows", 7)]);
    assert_eq!(found.severity, Severity::Critical);
    assert_eq!(evidence(&found, "TCPReqQFullDrop, grown by"), "40 (from 0 to 40)");
    assert_eq!(evidence(&found, "ListenDrops, grown by"), "47 (from 0 to 47)");
    assert_eq!(
        evidence(&found, "of these ListenOverflows (full accept queues), grown by"),
        "7 (from 0 to 7)"
    );
}

/// Without cookies the last quarter of `tcp_max_syn_backlog` is kept, and what is dropped for that is in `ListenDrops` only.
#[test]
fn a_full_accept_queue_does_not_make_a_flood_critical() {
    assert_eq!(flood(&[("ListenDrops", 30), ("ListenOverflows", 30)]).severity, Severity::Warning);
    assert_eq!(flood(&[("ListenDrops", 30), ("ListenOverflows", 29)]).severity, Severity::Critical);
    assert_eq!(flood(&[("ListenDrops", 0)]).severity, Severity::Warning);
}

/// As many in TIME_WAIT as these, one look after the other; the kernel ended `early` before the second look.
fn waiting(counts: &[u16], early: u64) -> Vec<Finding> {
    let at = |(at_s, count): (u64, &u16)| {
        let sockets = (0..*count).map(|number| socket(State::TIME_WAIT, number, 812));
        let early = if at_s == 0 { 0 } else { early };
        let limits = Limits { max_tw_buckets: 100, ..Limits::default() };
        let listener = socket(State::LISTEN, 999, 812);
        let sockets = sockets.chain([listener]).collect();
        with_counters(look(at_s, sockets), &[("TCPTimeWaitOverflow", early)], limits)
    };
    of_kind("time-wait-exhaustion", (0..).zip(counts).map(at))
}

/// Most of them at once, which need not be at the last look.
#[test]
fn most_in_time_wait_count() {
    assert_eq!(waiting(&[5, 12], 0), []);
    let found = waiting(&[5, 95, 12], 0).remove(0);
    assert_eq!(found.summary, "up to 95 sockets were in TIME_WAIT, of 100 that are allowed");
    assert_eq!(evidence(&found, "in TIME_WAIT at most"), "95");
    let found = waiting(&[5, 12, 3], 8).remove(0);
    assert_eq!(
        found.summary,
        "the kernel ended 8 connections without TIME_WAIT, in which 100 are allowed; up to 12 were seen there"
    );
}

/// Ports that services listen on come first, and nobody is told to widen what is wide.
#[test]
fn a_wider_range_leaves_out_what_services_have() {
    let commands = |ports: (u16, u16), range: (u16, u16)| {
        let one = |port: u16| {
            let mut seen = socket(State::TIME_WAIT, 0, 812);
            (seen.socket.lport, seen.socket.rport) = (port, 443);
            seen
        };
        let limits = Limits { ports: range, ..Limits::default() };
        let looks = [with_counters(look(0, (ports.0..=ports.1).map(one).collect()), &[], limits)];
        commands(&of_kind("time-wait-exhaustion", looks)[0])
    };
    let (reserved, wider) = ("net.ipv4.ip_local_reserved_ports", "net.ipv4.ip_local_port_range='1024 65535'");
    let narrow = commands((40_000, 40_019), (40_000, 40_019));
    assert!(narrow.find(reserved).unwrap() < narrow.find(wider).unwrap(), "{narrow}");
    let wide = commands((1_024, 60_000), (1_024, 65_535));
    assert!(!wide.contains(reserved) && !wide.contains(wider), "{wide}");
}
