//! Detectors on made-up attempts to connect: who is told of which, and what has the ports.

use std::net::Ipv4Addr;

use tcptrace_core::{
    diagnosis::detect::{Detectors, Options, Sample, Seen},
    model::{
        close::{Cause, Closing},
        evidence::EvidenceValue,
        finding::{Finding, Level, Severity},
        namespace::NamespaceSample,
        socket::{Timer, TimerKind},
        state::State,
        transition::Transition,
    },
};

use crate::common::Moved as _;
use crate::common::scans::{ended, findings, scan, socket, tried};
use crate::common::shown::{Show as _, Shown};

/// Each destination has its own culprits, whoever found no port for another one.
#[test]
fn who_finds_no_port_is_named_for_that_destination_only() {
    let mut detectors = Detectors::new(Options::default());
    for (end, pid) in [(1, 30), (2, 20), (1, 10), (1, 30)] {
        detectors.show(&ended(Cause::NoLocalPort, end, pid, None));
    }
    let waits = |end: u8| {
        let mut seen = socket(State::TIME_WAIT, u16::from(end), 1);
        seen.socket.flow.local.port = 40_000;
        (seen.socket.flow.remote.address, seen.socket.flow.remote.port) =
            (Ipv4Addr::new(198, 51, 100, end).into(), 443);
        seen
    };
    detectors.sample(&scan(1, vec![waits(1), waits(2)]));
    let found = detectors.findings();
    let owners: Vec<Vec<u32>> =
        found.iter().map(|finding| finding.owners.iter().map(|who| who.pid).collect()).collect();
    assert_eq!(owners, [vec![30, 10], vec![20]], "the one with the greatest part first");
}

/// 127.0.0.1 is another destination in each namespace; an address that leads out of them is not.
#[test]
fn what_connects_in_another_namespace_does_not_hide_what_is_refused() {
    let found = |raddr: Ipv4Addr| {
        let mut detectors = Detectors::new(Options::default());
        let Shown::Transition(refused) = ended(Cause::Refused, 1, 10, None) else { unreachable!() };
        let refused = Transition { event: refused.event.raddr(raddr.into()), ..refused };
        let mut connected = Transition { closing: None, ..refused.clone() };
        (connected.event.flow.netns, connected.event.new_state) = (Some(2), State::ESTABLISHED);
        (0..10).for_each(|_| detectors.show(&Shown::Transition(refused.clone())));
        (0..30).for_each(|_| detectors.show(&Shown::Transition(connected.clone())));
        detectors.findings().iter().map(|finding| finding.id).collect::<Vec<_>>()
    };
    assert_eq!(found(Ipv4Addr::LOCALHOST), ["connection-refused"]);
    assert_eq!(found(Ipv4Addr::new(198, 51, 100, 1)), [""; 0]);
}

/// Each namespace has ports of its own: what waits in another one does not say what has them.
#[test]
fn who_finds_no_port_is_named_for_that_namespace_only() {
    for (netns, ids) in
        [(1, vec!["time-wait-exhaustion"]), (2, vec!["port-exhaustion", "time-wait-exhaustion"])]
    {
        let mut detectors = Detectors::new(Options::default());
        detectors.show(&ended(Cause::NoLocalPort, 1, 30, None));
        let waits = (40_000..40_010).map(|lport| {
            let mut seen = with_local_port(State::TIME_WAIT, lport, 1);
            (seen.socket.flow.netns, seen.owners) = (Some(netns), [].into());
            seen
        });
        let namespaces = [(Some(netns), ten_ports())].into();
        detectors.sample(&Sample { namespaces, ..scan(1, waits.collect()) });
        let findings = detectors.findings();
        let found: Vec<_> = findings.iter().map(|finding| finding.id).collect();
        assert_eq!(found, ids, "namespace {netns}");
        assert_eq!((findings[0].severity, findings[0].owners[0].pid), (Severity::Critical, 30));
        assert_eq!(findings[0].netns, Some(1));
    }
}

/// One port of thousands is not what `connect()` lacked, in whatever state it is; nor does its owner have the others.
#[test]
fn one_port_in_use_does_not_say_what_has_the_others() {
    for state in [State::TIME_WAIT, State::ESTABLISHED] {
        let mut detectors = Detectors::new(Options::default());
        detectors.show(&ended(Cause::NoLocalPort, 1, 30, None));
        detectors.sample(&scan(1, vec![with_local_port(state, 40_000, 812)]));
        let [found] = &detectors.findings()[..] else { panic!("one") };
        assert_eq!((found.id, found.confidence.level), ("port-exhaustion", Level::Medium), "{state}");
        assert!(
            found.summary.contains("not what has the others; 1 connect() found none"),
            "{}",
            found.summary
        );
        assert_eq!(found.owners.iter().map(|who| who.pid).collect::<Vec<_>>(), [30], "{state}");
        let steps: Vec<_> = found.next_steps.iter().filter_map(|step| step.command.as_deref()).collect();
        assert!(!steps.iter().any(|command| command.contains("tcp_tw_reuse")), "{steps:?}");
    }
}

/// A connection to 198.51.100.1:443 by an ephemeral port.
fn with_local_port(state: State, lport: u16, pid: u32) -> Seen {
    let mut seen = socket(state, lport - 40_000, pid);
    seen.socket.flow.local.port = lport;
    (seen.socket.flow.remote.address, seen.socket.flow.remote.port) =
        (Ipv4Addr::new(198, 51, 100, 1).into(), 443);
    seen
}

/// Ten local ports.
fn ten_ports() -> NamespaceSample {
    let mut namespace = NamespaceSample::default();
    namespace.limits.ports = (40_000, 40_009);
    namespace
}

/// Who has them is named, and what the others found.
#[test]
fn open_connections_have_all_ports() {
    let namespaces = || [(Some(1), ten_ports())].into();
    let open = || (40_000..40_010).map(|lport| with_local_port(State::ESTABLISHED, lport, 812)).collect();
    let mut detectors = Detectors::new(Options::default());
    detectors.sample(&Sample { namespaces: namespaces(), ..scan(0, open()) });
    let soon = detectors.findings();
    assert_eq!((soon[0].id, soon[0].severity), ("port-exhaustion", Severity::Warning));
    (0..3).for_each(|_| detectors.show(&ended(Cause::NoLocalPort, 1, 30, None)));
    let [found] = &detectors.findings()[..] else { panic!("one") };
    assert_eq!((found.id, found.severity), ("port-exhaustion", Severity::Critical));
    assert_eq!(
        found.summary,
        "10 of the 10 ports from 192.0.2.1 to 198.51.100.1:443 are in use, 10 of them in ESTABLISHED; 3 connect()s found none"
    );
    assert_eq!(found.owners.iter().map(|who| who.pid).collect::<Vec<_>>(), [812], "who has the ports");
    assert!(
        found
            .evidence
            .iter()
            .any(|one| one.name == "most often tried by" && one.value.to_string().contains("[30]"))
    );
}

/// The port of a listener is that of its connections: they take none.
#[test]
fn a_server_on_a_high_port_takes_no_ports() {
    let mut served: Vec<Seen> =
        (40_000..40_010).map(|lport| with_local_port(State::ESTABLISHED, lport, 812)).collect();
    for seen in &mut served {
        seen.socket.flow.local.port = 40_000;
    }
    let found = |listens: bool| {
        let mut sockets = served.clone();
        sockets.extend(listens.then(|| with_local_port(State::LISTEN, 40_000, 812)));
        let options = Options { only: vec!["port-exhaustion".to_owned()], ..Options::default() };
        let mut detectors = Detectors::new(options);
        detectors.sample(&Sample { namespaces: [(Some(1), ten_ports())].into(), ..scan(0, sockets) });
        detectors.findings().len()
    };
    assert_eq!((found(false), found(true)), (1, 0));
}

/// A filter by process hides what waits, which no process has, and what others have.
#[test]
fn no_port_and_nobody_seen_who_has_them() {
    let mut detectors = Detectors::new(Options::default());
    (0..3).for_each(|_| detectors.show(&ended(Cause::NoLocalPort, 1, 30, None)));
    detectors.sample(&scan(1, vec![]));
    let [found] = &detectors.findings()[..] else { panic!("one") };
    assert_eq!((found.id, found.severity), ("port-exhaustion", Severity::Critical));
    assert!(found.summary.contains("not what has the others; 3 connect()s found none"), "{}", found.summary);
    assert_eq!(found.owners[0].pid, 30);
}

/// A scanner also knocks where a service is gone: others have tried it for their part.
#[test]
fn a_scanner_hides_nobody_elses_refusals() {
    let mut detectors = Detectors::new(Options::default());
    for port in 400..450 {
        (0..3).for_each(|_| detectors.show(&tried(Cause::Refused, 1, port, 66)));
    }
    (0..4).for_each(|_| detectors.show(&tried(Cause::Refused, 1, 443, 10)));
    let found = detectors.findings();
    let of = |id: &str| found.iter().filter(|finding| finding.id == id).collect::<Vec<_>>();
    let ([scan], [refused]) = (&of("outbound-scan")[..], &of("connection-refused")[..]) else {
        panic!("one of each: {found:#?}")
    };
    assert_eq!(scan.owners[0].pid, 66);
    assert!(refused.summary.contains(":443 refuses: 4 of 4 attempts"), "{}", refused.summary);
    assert_eq!(refused.owners.iter().map(|who| who.pid).collect::<Vec<_>>(), [10]);
}

/// Destinations that connect make no scan, however often another one is tried that is gone.
#[test]
fn one_dead_service_of_many_is_no_scan() {
    let mut detectors = Detectors::new(Options::default());
    for end in 1..=40 {
        let Shown::Transition(mut connected) = tried(Cause::Refused, end, 443, 10) else { unreachable!() };
        (connected.event.new_state, connected.closing) = (State::ESTABLISHED, None);
        detectors.transition(&connected);
    }
    (0..200).for_each(|_| detectors.show(&tried(Cause::Refused, 41, 6379, 10)));
    let [found] = &detectors.findings()[..] else { panic!("one: {:#?}", detectors.findings()) };
    assert_eq!(found.id, "connection-refused");
    assert!(found.summary.contains("198.51.100.41:6379 refuses: 200 of 200 attempts"), "{}", found.summary);
}

/// The same of those that wait for an answer.
#[test]
fn a_scanner_hides_nobody_else_who_waits() {
    let waits = |number: u16, pid: u32| {
        let mut seen = socket(State::SYN_SENT, number, pid);
        seen.socket.timer = Some(Timer { kind: TimerKind::On, expires_ms: 1, retransmits: 1 });
        seen
    };
    let scanner = (0..40).map(|number| waits(number, 66));
    let others = (0..3).map(|_| waits(0, 10));
    let found = findings([scan(1, scanner.chain(others).collect())]);
    let ids: Vec<_> = found.iter().map(|finding| (finding.id, finding.owners[0].pid)).collect();
    assert_eq!(ids, [("unreachable-destination", 10), ("outbound-scan", 66)]);
    assert!(found[0].summary.contains("3 of 3 attempts"), "{}", found[0].summary);
}

/// What finds no room in a table is not told, and that is.
#[test]
fn what_had_no_room_is_counted() {
    let mut detectors = Detectors::new(Options::default());
    for number in 0..65_537_u32 {
        let Shown::Transition(mut transition) = ended(Cause::Refused, 1, 10, None) else { unreachable!() };
        transition.event.flow.remote.address = Ipv4Addr::from(0xc600_0000 + number).into();
        detectors.transition(&transition);
    }
    let left_out = detectors.left_out();
    assert!(
        left_out.iter().any(|(ids, count)| ids.contains(&"connection-refused") && *count == 1),
        "{left_out:?}"
    );
}

/// Whoever has connected to very many before, a service that is gone is told of.
#[test]
fn what_went_well_makes_room_for_what_does_not() {
    let Shown::Transition(refused) = ended(Cause::Refused, 1, 10, None) else { unreachable!() };
    let mut detectors = Detectors::new(Options::default());
    let mut connected = Transition { closing: None, ..refused.clone() };
    connected.event.new_state = State::ESTABLISHED;
    for number in 0..65_536_u32 {
        connected.event.flow.remote.address = Ipv4Addr::from(0x0a00_0000 + number).into();
        detectors.transition(&connected);
    }
    assert_eq!(detectors.left_out(), []);
    detectors.sample(&scan(1, vec![]));
    (0..3).for_each(|_| detectors.transition(&refused));
    let [found] = &detectors.findings()[..] else { panic!("one") };
    assert_eq!(found.id, "connection-refused");
    assert!(!detectors.left_out().is_empty(), "what was forgotten is told");
    assert_eq!(found.confidence.level, Level::Medium, "these may have gone well before");
    assert!(no_room(found).is_some_and(|times| times >= 65_536), "{found:#?}");
}

/// How often something found no room, as a finding says it.
fn no_room(found: &Finding) -> Option<u64> {
    let evidence = found.evidence.iter().find(|one| one.name.contains("table was full"))?;
    let EvidenceValue::Number(times) = evidence.value else { panic!("{evidence:?} is no count") };
    Some(times)
}

/// The same of resets; and as long as there is room, what was counted is all.
#[test]
fn a_share_of_what_was_forgotten_is_less_sure() {
    let found = |others: u32| {
        let options = Options { only: vec!["reset-storm".to_owned()], ..Options::default() };
        let mut detectors = Detectors::new(options);
        let Shown::Transition(reset) = ended(Cause::ResetByPeer, 1, 10, None) else { unreachable!() };
        let closing = Closing { cause: Some(Cause::ActiveClose), ..Closing::default() };
        let mut closed = Transition { closing: Some(Box::new(closing)), ..reset.clone() };
        closed.event.old_state = State::FIN_WAIT2;
        for number in 0..others {
            closed.event.flow.remote.address = Ipv4Addr::from(0x0a00_0000 + number).into();
            detectors.transition(&closed);
        }
        detectors.sample(&scan(1, vec![]));
        (0..20).for_each(|_| detectors.transition(&reset));
        let [found] = &detectors.findings()[..] else { panic!("one") };
        (found.confidence.level, no_room(found))
    };
    assert_eq!(found(65_535), (Level::High, None));
    assert_eq!(found(65_536), (Level::Medium, Some(65_536)));
}

/// Where no process is known, the network namespace is all the same, and whoever waits does not tell of another one.
#[test]
fn nobody_known_is_somewhere_all_the_same() {
    let waits = |netns: u32| {
        let mut seen = with_local_port(State::SYN_SENT, 40_000, 1);
        (seen.socket.flow.netns, seen.owners) = (Some(netns), [].into());
        seen.socket.timer = Some(Timer { kind: TimerKind::On, expires_ms: 1, retransmits: 1 });
        seen
    };
    for (waiting, netns) in [(vec![], Some(1)), (vec![waits(1)], Some(1)), (vec![waits(2)], None)] {
        let options = Options { own_netns: Some(9), ..Options::default() };
        let mut detectors = Detectors::new(options);
        for _ in 0..3 {
            let Shown::Transition(refused) = ended(Cause::Refused, 1, 10, None) else { unreachable!() };
            detectors.transition(&Transition { owner: None, ..refused });
        }
        detectors.sample(&scan(1, waiting));
        let [found] = &detectors.findings()[..] else { panic!("one") };
        assert_eq!((found.id, found.netns), ("connection-refused", netns));
        let enter = found.next_steps[0].command.as_deref() == Some("lsns -t net");
        assert_eq!(enter, netns.is_some(), "{:?}", found.next_steps);
    }
}
