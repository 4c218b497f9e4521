//! Local ports that run out, or look as if they did.

use std::net::{IpAddr, Ipv4Addr};

use tcptrace_core::{
    diagnosis::detect::{Detectors, Options, Sample, Seen},
    model::{
        close::Cause,
        finding::{Finding, Severity},
        limits::Limits,
        state::State,
    },
};

use crate::common::scans::{commands, ended, evidence, of_kind, scan, socket, with_counters};
use crate::common::shown::{Show as _, Shown};

const RANGE: Limits = Limits {
    ports: (40_000, 40_099),
    max_tw_buckets: 16_384,
    fin_timeout_s: 60,
    max_syn_backlog: 1_024,
    syncookies: 1,
    tw_reuse: Some(2),
    timestamps: Some(1),
    abort_on_overflow: None,
    max_orphans: None,
    somaxconn: None,
    reserved_ports: 0,
};

/// So many of the ports from `address` to `address`:443 in this state.
fn used(address: [u8; 4], state: State, count: u16) -> Vec<Seen> {
    let one = |number| {
        let mut seen = socket(state, number, 812);
        let address: IpAddr = Ipv4Addr::from(address).into();
        (seen.socket.flow.local.address, seen.socket.flow.remote.address) = (address, address);
        (seen.socket.flow.local.port, seen.socket.flow.remote.port) = (40_000 + number, 443);
        seen
    };
    (0..count).map(one).collect()
}

fn at(at_s: u64, sockets: Vec<Seen>, limits: Limits) -> Sample {
    with_counters(scan(at_s, sockets), &[], limits)
}

const LOOPBACK: [u8; 4] = [127, 0, 0, 1];
const OTHER: [u8; 4] = [192, 0, 2, 1];

/// What is found where so many wait at two scans.
fn waiting_ports(address: [u8; 4], count: u16, limits: Limits) -> Finding {
    let scans = [0, 10].map(|at_s| at(at_s, used(address, State::TIME_WAIT, count), limits));
    of_kind("time-wait-exhaustion", scans).remove(0)
}

/// The kernel takes ports over that wait for more than a second: nobody lacks one.
#[test]
fn ports_that_are_taken_over_are_not_taken() {
    let severity = |address, tw_reuse, timestamps| {
        let limits = Limits { tw_reuse: Some(tw_reuse), timestamps: Some(timestamps), ..RANGE };
        waiting_ports(address, 94, limits).severity
    };
    assert_eq!(severity(LOOPBACK, 2, 1), Severity::Info);
    assert_eq!(severity(OTHER, 1, 1), Severity::Info);
    assert_eq!(severity(OTHER, 2, 1), Severity::Warning, "2 is for loopback");
    assert_eq!(severity(LOOPBACK, 2, 0), Severity::Warning, "it needs timestamps");
    assert_eq!(severity(LOOPBACK, 0, 1), Severity::Warning);
    let found = waiting_ports(LOOPBACK, 94, RANGE);
    assert!(found.summary.ends_with("the kernel takes those in TIME_WAIT over after a second"), "{found:#?}");
}

/// Nobody is told to set what is set.
#[test]
fn advice_is_what_the_host_does_not_have() {
    let advice = |address, tw_reuse, timestamps| {
        let limits = Limits { tw_reuse, timestamps, ..RANGE };
        let commands = commands(&waiting_ports(address, 94, limits));
        ["tcp_tw_reuse=1", "tcp_timestamps=1", "sysctl net.ipv4.tcp_tw_reuse "]
            .map(|command| commands.contains(command))
    };
    assert_eq!(advice(LOOPBACK, Some(2), Some(1)), [false, false, false]);
    assert_eq!(advice(OTHER, Some(1), Some(1)), [false, false, false]);
    assert_eq!(advice(OTHER, Some(2), Some(1)), [true, false, false]);
    assert_eq!(advice(OTHER, Some(1), Some(0)), [false, true, false]);
    assert_eq!(advice(LOOPBACK, Some(0), Some(0)), [true, true, false]);
    assert_eq!(advice(OTHER, None, None), [false, false, true], "what is not known is to be looked up");
}

/// A limit that will be reached: when, at the rate seen.
#[test]
fn ports_that_grow_are_told_with_when_they_end() {
    let found = |counts: [u16; 2]| {
        let scan = |(at_s, count)| at(at_s, used(OTHER, State::ESTABLISHED, count), RANGE);
        of_kind("port-exhaustion", [0, 10].into_iter().zip(counts).map(scan)).pop()
    };
    let growing = found([60, 85]).unwrap();
    assert_eq!(growing.severity, Severity::Warning);
    assert!(growing.summary.ends_with("; as fast as they grow, none is left in 6 s"), "{}", growing.summary);
    assert_eq!(evidence(&growing, "growth while watched"), "25 (from 60 to 85 in 10 s)");
    let harm = growing.harm.unwrap();
    assert_eq!((harm.count, harm.whom.ends_with("192.0.2.1:443")), (85, true));
    let pool = found([85, 85]).unwrap();
    assert_eq!((pool.severity, pool.harm), (Severity::Info, None), "a pool that stays as it is");
    assert_eq!(found([95, 95]).unwrap().severity, Severity::Warning, "hardly any is left");
    assert_eq!(found([70, 75]), None);
}

/// What is over is told as over, and lacks nobody a port.
#[test]
fn a_peak_that_is_over_harms_nobody() {
    let found = |counts: [u16; 3]| {
        let scan = |(at_s, count)| at(at_s, used(OTHER, State::ESTABLISHED, count), RANGE);
        of_kind("port-exhaustion", [0, 10, 20].into_iter().zip(counts).map(scan)).remove(0)
    };
    let over = found([10, 97, 12]);
    assert_eq!((over.severity, over.harm), (Severity::Info, None));
    assert!(over.summary.contains("were in use at most, 97 of them in ESTABLISHED"), "{}", over.summary);
    assert!(over.summary.ends_with("; 12 are at the last scan"), "{}", over.summary);
    let gone = found([10, 97, 0]);
    assert_eq!(gone.severity, Severity::Info);
    assert!(gone.summary.ends_with("; none is at the last scan"), "{}", gone.summary);
    let lasts = found([98, 97, 96]);
    assert_eq!((lasts.severity, lasts.harm.unwrap().count), (Severity::Warning, 96));
}

/// `connect()` that failed so, by a socket with this local port.
fn failed(lport: u16) -> Shown {
    let Shown::Transition(mut transition) = ended(Cause::NoLocalPort, 1, 30, None) else { unreachable!() };
    let address = Ipv4Addr::from(OTHER);
    let event = &mut transition.event;
    (event.flow.local.address, event.flow.local.port, event.flow.remote.address, event.flow.remote.port) =
        (address.into(), lport, address.into(), 443);
    Shown::Transition(transition)
}

fn found_none(lport: u16, sockets: Vec<Seen>) -> Vec<Finding> {
    let mut detectors = Detectors::new(Options::default());
    (0..3).for_each(|_| detectors.show(&failed(lport)));
    detectors.sample(&at(1, sockets, RANGE));
    detectors.findings()
}

/// The range of all says nothing of a socket that has one of its own (`IP_LOCAL_PORT_RANGE`).
#[test]
fn a_socket_with_a_range_of_its_own_needs_no_wider_one() {
    let [found] = &found_none(0, used(OTHER, State::ESTABLISHED, 4))[..] else { panic!("one") };
    assert_eq!((found.id, found.severity), ("port-exhaustion", Severity::Critical));
    let harm = found.harm.as_ref().unwrap();
    assert_eq!((harm.count, harm.what.as_str()), (3, "calls of connect() that failed"));
    assert!(!commands(found).contains("ip_local_port_range="), "{found:#?}");
    assert!(found.next_steps.iter().any(|step| step.what.contains("IP_LOCAL_PORT_RANGE")), "{found:#?}");
    let [found] = &found_none(0, used(OTHER, State::ESTABLISHED, 100))[..] else { panic!("one") };
    assert!(commands(found).contains("ip_local_port_range="), "{found:#?}");
}

/// Who has a port did not look for one.
#[test]
fn a_socket_that_is_bound_to_a_port_lacks_none() {
    assert_eq!(found_none(5_000, vec![]), []);
    assert_eq!(found_none(40_001, vec![]), []);
}

/// A failure is critical although ports are taken over.
#[test]
fn a_connect_that_fails_lacks_a_port() {
    let limits = Limits { tw_reuse: Some(1), ..RANGE };
    let mut detectors = Detectors::new(Options::default());
    (0..3).for_each(|_| detectors.show(&failed(0)));
    detectors.sample(&at(1, used(OTHER, State::TIME_WAIT, 100), limits));
    let [found] = &detectors.findings()[..] else { panic!("one") };
    assert_eq!((found.id, found.severity), ("time-wait-exhaustion", Severity::Critical));
}

/// As many in TIME_WAIT as these, one scan after the other; the kernel ended `early` before the second look.
fn waiting(counts: &[u16], early: u64) -> Vec<Finding> {
    let at = |(at_s, count): (u64, &u16)| {
        let sockets = (0..*count).map(|number| socket(State::TIME_WAIT, number, 812));
        let early = if at_s == 0 { 0 } else { early };
        let limits = Limits { max_tw_buckets: 100, ..Limits::default() };
        let listener = socket(State::LISTEN, 999, 812);
        let sockets = sockets.chain([listener]).collect();
        with_counters(scan(at_s, sockets), &[("TCPTimeWaitOverflow", early)], limits)
    };
    of_kind("time-wait-exhaustion", (0..).zip(counts).map(at))
}

/// Most of them at once, which need not be at the last scan.
#[test]
fn most_in_time_wait_count() {
    assert_eq!(waiting(&[5, 12], 0), []);
    let found = waiting(&[5, 95, 12], 0).remove(0);
    assert_eq!(found.severity, Severity::Info, "nobody is harmed by what waits");
    assert_eq!(found.summary, "up to 95 sockets were in TIME_WAIT, of 100 that are allowed");
    assert_eq!(evidence(&found, "in TIME_WAIT at most"), "95");
    let found = waiting(&[5, 12, 3], 8).remove(0);
    assert_eq!(found.severity, Severity::Info, "nor by what does not");
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
            (seen.socket.flow.local.port, seen.socket.flow.remote.port) = (port, 443);
            seen
        };
        let limits = Limits { ports: range, ..Limits::default() };
        let scans = [with_counters(scan(0, (ports.0..=ports.1).map(one).collect()), &[], limits)];
        commands(&of_kind("time-wait-exhaustion", scans)[0])
    };
    let (reserved, wider) = ("net.ipv4.ip_local_reserved_ports", "net.ipv4.ip_local_port_range='1024 65535'");
    let narrow = commands((40_000, 40_019), (40_000, 40_019));
    assert!(narrow.find(reserved).unwrap() < narrow.find(wider).unwrap(), "{narrow}");
    let wide = commands((1_024, 60_000), (1_024, 65_535));
    assert!(!wide.contains(reserved) && !wide.contains(wider), "{wide}");
}
