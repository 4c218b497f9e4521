//! What this host tells of a destination that fails: whom it harms, what listens there, what is in the way.

use std::net::SocketAddr;

use tcptrace_core::{
    diagnosis::detect::{Ages, Detectors, Options, Sample, Seen},
    model::{
        close::Cause,
        finding::{Finding, Severity},
        namespace::{LocalAddress, NamespaceSample},
        socket::{Timer, TimerKind},
        state::State,
        transition::Transition,
    },
};

use crate::common::scans::{SECOND, scan, socket, tried};
use crate::common::shown::{Show as _, Shown};

/// A namespace with these addresses, each on an interface that runs or not.
fn with_addresses(addresses: &[(&str, bool)]) -> NamespaceSample {
    let local = |(address, running): &(&str, bool)| LocalAddress {
        address: address.parse().unwrap(),
        interface: "eth0".to_owned(),
        running: *running,
    };
    NamespaceSample { addresses: addresses.iter().map(local).collect(), ..NamespaceSample::default() }
}

/// A scan of namespace 1.
fn scan_of(at_s: u64, namespace: NamespaceSample, sockets: Vec<Seen>) -> Sample {
    Sample { namespaces: [(Some(1), namespace)].into(), ..scan(at_s, sockets) }
}

/// A socket whose SYN was sent again.
fn waits(number: u16, pid: u32) -> Seen {
    let mut seen = socket(State::SYN_SENT, number, pid);
    seen.socket.timer = Some(Timer { kind: TimerKind::On, expires_ms: 1, retransmits: 1 });
    seen
}

/// `connect()` of process `pid` to 198.51.100.`end`:443 succeeds.
fn connected(end: u8, pid: u32) -> Shown {
    let Shown::Transition(mut transition) = tried(Cause::Refused, end, 443, pid) else { unreachable!() };
    (transition.event.new_state, transition.closing) = (State::ESTABLISHED, None);
    Shown::Transition(transition)
}

fn steps(finding: &Finding) -> String {
    let steps = finding.next_steps.iter();
    steps
        .map(|step| format!("{} {}", step.what, step.command.as_deref().unwrap_or("")))
        .collect::<Vec<_>>()
        .join("\n")
}

fn evidence(finding: &Finding, name: &str) -> Option<String> {
    finding.evidence.iter().find(|one| one.name == name).map(|one| one.value.to_string())
}

/// What is found after these, and one scan.
fn found_of(records: impl IntoIterator<Item = Shown>) -> Option<Finding> {
    let mut detectors = Detectors::new(Options::default());
    records.into_iter().for_each(|record| detectors.show(&record));
    detectors.sample(&scan(1, vec![]));
    detectors.findings().pop()
}

/// Where some attempts connect, the destination can be reached: the share is told.
#[test]
fn a_destination_that_connects_sometimes_can_be_reached() {
    let times = |count: usize, record: Shown| std::iter::repeat_n(record, count);
    for (cause, said) in [
        (Cause::ConnectTimeout, "12 of 20 attempts at 198.51.100.1:443 get no answer"),
        (Cause::Refused, "12 of 20 attempts at 198.51.100.1:443 are refused"),
    ] {
        let some = times(12, tried(cause, 1, 443, 10)).chain(times(8, connected(1, 10)));
        let found = found_of(some).unwrap();
        assert_eq!((found.summary.as_str(), found.severity), (said, Severity::Warning));
        let none = found_of(times(12, tried(cause, 1, 443, 10))).unwrap();
        assert_eq!(none.severity, Severity::Critical, "nothing connects");
        assert!(none.harm.as_ref().unwrap().to_string().starts_with("12 attempts to connect "), "{none:#?}");
        assert!(none.harm.unwrap().whom.contains("client[10]"));
        assert_eq!(found_of(times(5, tried(cause, 1, 443, 10)).chain(times(35, connected(1, 10)))), None);
    }
}

/// A proxy checks a backend that is down, and serves its clients by another one.
#[test]
fn a_program_that_connects_elsewhere_does_not_fail() {
    let checks = (0..10).map(|_| tried(Cause::Refused, 1, 443, 10));
    let found = found_of(checks.chain([connected(2, 10), connected(2, 11)])).unwrap();
    assert_eq!(found.severity, Severity::Warning);
    assert_eq!(
        evidence(&found, "connections of the same program to other destinations").as_deref(),
        Some("1")
    );
    let checks = (0..10).map(|_| tried(Cause::Refused, 1, 443, 10));
    let others = found_of(checks.chain([connected(2, 11)])).unwrap();
    assert_eq!(others.severity, Severity::Critical, "another program connects");
}

/// A service that was started again: what failed before is over once attempts connect, and not before.
#[test]
fn what_connects_by_now_harms_nobody() {
    let mut detectors = Detectors::new(Options::default());
    (0..10).for_each(|_| detectors.show(&tried(Cause::Refused, 1, 443, 10)));
    detectors.sample(&scan(1, vec![]));
    assert_eq!(detectors.findings()[0].severity, Severity::Critical);
    detectors.show(&connected(1, 10));
    detectors.sample(&scan(2, vec![]));
    let found = detectors.findings().remove(0);
    assert_eq!((found.severity, &found.harm), (Severity::Info, &None));
    assert!(found.summary.ends_with("; it connects by now"), "{}", found.summary);
    detectors.sample(&scan(3, vec![]));
    assert_eq!(detectors.findings()[0].severity, Severity::Info, "nothing was tried since");
    detectors.show(&tried(Cause::Refused, 1, 443, 10));
    assert_eq!(detectors.findings()[0].severity, Severity::Warning, "it fails again");
}

/// A program that races addresses gives up on the slower one at once, and one whose SYN was lost connects by the next.
#[test]
fn who_gives_up_at_once_or_connects_in_the_end_has_not_failed() {
    let raced = |ns: u64| {
        let Shown::Transition(transition) = tried(Cause::ConnectCancelled, 1, 443, 10) else {
            unreachable!()
        };
        Shown::Transition(Transition { in_old_state_ns: Some(ns), ..transition })
    };
    assert_eq!(found_of((0..20).map(|_| raced(300_000_000))), None);
    assert_eq!(found_of((0..20).map(|_| raced(3_000_000_000))).unwrap().id, "unreachable-destination");
    assert_eq!(found_of([tried(Cause::ConnectTimeout, 1, 443, 10), connected(1, 10)]), None);
}

/// A destination of this host: who listens there, or elsewhere, is known, and nobody is sent away to look.
#[test]
fn of_a_destination_of_this_host_its_listeners_are_told() {
    let listener = |address: &str, waiting: u32| {
        let mut seen = socket(State::LISTEN, 70, 80);
        (seen.socket.flow.local.address, seen.socket.flow.local.port) = (address.parse().unwrap(), 443);
        (seen.socket.recv_queue, seen.socket.send_queue) = (waiting, 4);
        seen
    };
    let found = |cause: Cause, sockets: Vec<Seen>| {
        let mut detectors = Detectors::new(Options {
            only: vec!["connection-refused".to_owned(), "unreachable-destination".to_owned()],
            ..Options::default()
        });
        let addresses = with_addresses(&[("192.0.2.1", true), ("198.51.100.1", true)]);
        detectors.sample(&scan_of(0, addresses.clone(), sockets.clone()));
        (0..5).for_each(|_| detectors.show(&tried(cause, 1, 443, 10)));
        let aged = sockets.into_iter().map(|mut seen| {
            seen.socket.age_at_least_ns = Some(SECOND);
            seen
        });
        detectors.sample(&scan_of(1, addresses, aged.collect()));
        detectors.findings().remove(0)
    };
    let none = found(Cause::Refused, vec![]);
    assert!(steps(&none).contains("No listener was seen on 198.51.100.1:443"), "{}", steps(&none));
    assert!(!steps(&none).contains("On that host"), "{}", steps(&none));
    let other = found(Cause::Refused, vec![listener("192.0.2.1", 0)]);
    assert!(other.summary.contains("listens on 192.0.2.1:443 instead"), "{}", other.summary);
    let rejected = found(Cause::Refused, vec![listener("0.0.0.0", 0)]);
    assert!(rejected.summary.contains("5 of 5 attempts at 198.51.100.1:443 are rejected, though "));
    assert!(steps(&rejected).contains("a filter rejects"), "{}", steps(&rejected));
    for (waiting, step) in [(5, "It listens, and does not accept"), (0, "find what drops the SYNs")] {
        let unanswered = found(Cause::ConnectTimeout, vec![listener("198.51.100.1", waiting)]);
        let steps = steps(&unanswered);
        assert!(steps.contains(step) && !steps.contains("ping"), "{steps}");
        assert!(unanswered.summary.ends_with(" listens there"), "{}", unanswered.summary);
    }
}

/// A link that is down and connection tracking that is full are told first; where they are not, they are not.
#[test]
fn what_is_in_the_way_is_told() {
    let found = |running: bool, conntrack: Option<(u64, u64)>| {
        let mut detectors = Detectors::new(Options::default());
        let namespace = NamespaceSample { conntrack, ..with_addresses(&[("192.0.2.1", running)]) };
        detectors.sample(&scan_of(1, namespace, (0..3).map(|_| waits(0, 10)).collect()));
        detectors.findings().remove(0)
    };
    let down = found(false, None);
    assert!(down.summary.ends_with("; eth0 has no carrier"), "{}", down.summary);
    assert!(down.next_steps[0].what.contains("eth0 has no carrier"), "{down:#?}");
    let full = found(true, Some((990, 1_000)));
    assert_eq!(evidence(&full, "connections that conntrack knows").as_deref(), Some("990 of 1000"));
    let neither = found(true, Some((10, 1_000)));
    assert!(neither.next_steps[0].what.contains("route"), "{neither:#?}");
    assert_eq!(evidence(&neither, "connections that conntrack knows"), None);
}

/// A name of an interface is from outside, and any bytes but `/` and spaces: it is escaped, and no command has what a shell
/// would obey.
#[test]
fn the_name_of_an_interface_is_not_obeyed() {
    let found = |interface: &str| {
        let mut detectors = Detectors::new(Options::default());
        let mut namespace = with_addresses(&[("192.0.2.1", false)]);
        interface.clone_into(&mut namespace.addresses[0].interface);
        detectors.sample(&scan_of(1, namespace, (0..3).map(|_| waits(0, 10)).collect()));
        detectors.findings().remove(0)
    };
    for plain in ["eth0", "eth0.100", "br-1_a", "eth0:1", "veth1@if2"] {
        let down = found(plain);
        assert_eq!(down.next_steps[0].command, Some(format!("ip -s link show dev {plain}")));
        assert!(down.summary.ends_with(&format!("; {plain} has no carrier")), "{}", down.summary);
    }
    for hostile in ["\u{1b}[2J", "a;reboot", "$(x)", "`x`", "-x", "a'b", "a\u{202e}b", "a|b", ""] {
        let down = found(hostile);
        assert_eq!(down.next_steps[0].command, None, "{hostile:?}");
        assert!(down.next_steps[0].what.contains("has no carrier"), "{down:#?}");
        let all = format!(
            "{} {} {:?}",
            down.summary,
            steps(&down),
            down.evidence.iter().map(|one| one.value.to_string()).collect::<String>()
        );
        assert!(!all.contains(['\u{1b}', '\u{202e}']), "{all:?}");
    }
}

/// A client whose list of servers is out of date comes back to the same ones; a scan has its answer once.
#[test]
fn a_list_that_is_out_of_date_is_no_scan() {
    let severity = |times: usize, ports: bool| {
        let to = |number: u8| if ports { (1, 400 + u16::from(number)) } else { (number, 443) };
        let attempts = (1..=40).flat_map(|number| std::iter::repeat_n(to(number), times));
        let records = attempts.map(|(end, port)| tried(Cause::Refused, end, port, 10));
        let found = found_of(records).unwrap();
        assert_eq!(found.id, "outbound-scan");
        found.severity
    };
    assert_eq!(severity(1, false), Severity::Warning);
    assert_eq!(severity(3, false), Severity::Info);
    assert_eq!(severity(3, true), Severity::Warning, "no client tries every port");
}

/// A monitor, a crawler, a mail server: most of what it tries is there.
#[test]
fn who_connects_to_most_is_no_scanner() {
    let gone = (1..=40).map(|end| tried(Cause::ConnectTimeout, end, 443, 10));
    assert_eq!(found_of(gone.chain((41..=100).map(|end| connected(end, 10)))), None);
}

/// A transition of process `pid` of namespace 1 to this address: refused, or connected.
fn to(address: &str, pid: u32, connects: bool) -> Shown {
    let Shown::Transition(mut transition) = tried(Cause::Refused, 1, 8080, pid) else { unreachable!() };
    transition.event.flow.remote.address = address.parse().unwrap();
    if connects {
        (transition.event.new_state, transition.closing) = (State::ESTABLISHED, None);
    }
    Shown::Transition(transition)
}

/// `localhost` is `::1` and 127.0.0.1: where a service listens on one, its clients are refused at the other, and served.
#[test]
fn who_connects_by_the_other_family_is_not_harmed() {
    let found = |records: Vec<Shown>| {
        let mut detectors = Detectors::new(Options::default());
        let addresses = with_addresses(&[("192.0.2.1", true), ("192.0.2.2", true), ("2001:db8::1", true)]);
        detectors.sample(&scan_of(0, addresses.clone(), vec![]));
        for record in &records {
            detectors.show(record);
        }
        detectors.sample(&scan_of(1, addresses, vec![]));
        detectors.findings().pop()
    };
    let pairs = |from: &str, other: &str, connects: u32| {
        let of = |pid: u32| {
            let mut records = vec![to(from, pid, false)];
            records.extend((pid < connects).then(|| to(other, pid, true)));
            records
        };
        (0..20).flat_map(of).collect::<Vec<_>>()
    };
    for (from, other) in [("::1", "127.0.0.1"), ("127.0.0.1", "::1"), ("2001:db8::1", "192.0.2.1")] {
        let told = found(pairs(from, other, 20)).unwrap();
        assert_eq!((told.id, told.severity, &told.harm), ("connection-refused", Severity::Info, &None));
        let said = format!("; the same programs connect to {} instead", to_end(other));
        assert!(told.summary.ends_with(&said), "{}", told.summary);
        assert_eq!(
            evidence(&told, "of these with a connection of the same program to the other family").as_deref(),
            Some("20")
        );
    }
    // The last of them is about to.
    assert_eq!(found(pairs("::1", "127.0.0.1", 19)).unwrap().severity, Severity::Info);
    // Those who stay without are harmed.
    let half = found(pairs("::1", "127.0.0.1", 8)).unwrap();
    assert_eq!(half.harm.unwrap().count, 12);
    assert!(half.owners.iter().all(|who| who.pid >= 8), "who is served is not named: {:?}", half.owners);
    assert!(half.summary.contains("; after 8 of these the same program connects to 127.0.0.1:8080 instead"));
    let mut few = pairs("::1", "127.0.0.1", 20);
    few.extend((0..5).map(|_| to("::1", 77, false)));
    let few = found(few).unwrap();
    assert_eq!((few.severity, few.harm.unwrap().count), (Severity::Critical, 5), "others hide nobody");
    for (what, from, other) in [
        ("two backends of one family", "192.0.2.1", "192.0.2.2"),
        ("the loopback and another address", "::1", "192.0.2.1"),
        ("backends elsewhere", "2001:db8::7", "198.51.100.7"),
    ] {
        let told = found(pairs(from, other, 20)).unwrap();
        assert_eq!(told.severity, Severity::Warning, "{what}: {told:#?}");
    }
    // Another program, another port.
    let others = (0..20).flat_map(|pid| [to("::1", pid, false), to("127.0.0.1", pid + 100, true)]);
    assert_eq!(found(others.collect()).unwrap().severity, Severity::Critical);
    let ports = (0..20).flat_map(|pid| {
        let Shown::Transition(mut other) = to("127.0.0.1", pid, true) else { unreachable!() };
        other.event.flow.remote.port = 8081;
        [to("::1", pid, false), Shown::Transition(other)]
    });
    assert_eq!(found(ports.collect()).unwrap().severity, Severity::Warning);
}

fn to_end(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), 8080)
}

/// A service that was down and is there again has refused by itself; one that was there all the time has not.
#[test]
fn who_listens_now_may_not_have_listened_then() {
    // By cookie: who listens at each scan, one second after the other; the attempts are refused after the scan at 2 s.
    let found = |listeners: [Option<u16>; 4], device: Option<u32>, seen_from: usize| {
        let only = vec!["connection-refused".to_owned()];
        let mut detectors = Detectors::new(Options { only, ..Options::default() });
        let mut ages = Ages::default();
        for (at_s, number) in (1..).zip(listeners).skip(seen_from) {
            let listener = number.map(|number| {
                let mut seen = socket(State::LISTEN, number, 80);
                (seen.socket.flow.local.address, seen.socket.flow.local.port) =
                    ("198.51.100.1".parse().unwrap(), 443);
                seen.socket.ifindex = device;
                seen
            });
            let mut scan =
                scan_of(at_s, with_addresses(&[("198.51.100.1", true)]), listener.into_iter().collect());
            ages.apply(&mut scan);
            if at_s == 3 {
                (0..5).for_each(|_| {
                    let Shown::Transition(mut refused) = tried(Cause::Refused, 1, 443, 10) else {
                        unreachable!()
                    };
                    refused.event.ktime_ns = 2 * SECOND + SECOND / 2;
                    detectors.show(&Shown::Transition(refused));
                });
            }
            detectors.sample(&scan);
        }
        detectors.findings().remove(0)
    };
    for (what, listeners) in [
        ("it begins", [None, None, None, Some(1)]),
        ("it began before the next scan", [None, None, Some(1), Some(1)]),
        ("it is started again", [Some(1), Some(1), Some(2), Some(2)]),
        ("it is down for a while", [Some(1), None, None, Some(2)]),
    ] {
        let since = found(listeners, None, 0);
        assert_eq!((since.severity, &since.harm), (Severity::Info, &None), "{what}: {since:#?}");
        assert!(
            since.summary.ends_with(" was not listening then, and does now"),
            "{what}: {}",
            since.summary
        );
        assert!(!steps(&since).contains("nft") && !steps(&since).contains("Start the service"), "{what}");
    }
    let rejected = found([Some(1); 4], None, 0);
    assert_eq!(rejected.severity, Severity::Critical);
    assert!(rejected.summary.contains(" are rejected, though "), "{}", rejected.summary);
    assert_eq!(evidence(&rejected, "of these with the listener there before").as_deref(), Some("5"));
    // It is gone.
    let gone = found([Some(1), Some(1), None, None], None, 0);
    assert_eq!(gone.severity, Severity::Critical);
    assert!(gone.summary.ends_with("refuses: 5 of 5 attempts"), "{}", gone.summary);
    // No scan before them tells.
    let unknown = found([Some(1); 4], None, 2);
    assert!(unknown.summary.ends_with(" listens there now"), "{}", unknown.summary);
    assert_eq!(unknown.severity, Severity::Critical);
    // By another device than its own it refuses.
    let bound = found([Some(1); 4], Some(7), 0);
    assert!(bound.summary.ends_with(" listens there, bound to a network device"), "{}", bound.summary);
    assert!(!steps(&bound).contains("nft"), "{}", steps(&bound));
}
