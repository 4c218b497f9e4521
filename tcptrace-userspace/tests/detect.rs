//! Detectors on made-up looks: what they say of the same sockets, seen again and again, in any order.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::{net::Ipv4Addr, sync::Arc};

use common::{by_process, event};
use proptest::prelude::*;
use tcptrace::{
    close::{Cause, Closing},
    detect::{Ages, Detectors, Finding, NamespaceSample, Options, Sample, Seen, Severity, Thresholds, Who},
    diagnose::{Report, Sight, Totals, Verdict},
    event::Event,
    process::Process,
    record::{Record, Transition},
    sink::findings::{Format, render},
    snapshot::{Info, Kind, Socket},
    state::State,
    tracker::{self, Tracker},
};

const SECOND: u64 = 1_000_000_000;

/// A name that would do harm on a terminal and in a ticket.
const HOSTILE: &[u8] = b"\x1b[2J`x`|<b>\n";

fn who(pid: u32) -> Who {
    let process = Process {
        pid,
        start_ticks: 1,
        comm: HOSTILE.to_vec(),
        exe: Some(b"/tmp/\x1b[31m".to_vec()),
        exe_deleted: true,
        uid: 7,
        unit: Some("a\u{1b}b.service".to_owned()),
        container: None,
        netns: Some(1),
    };
    Who::of_holder(pid, Some(&Arc::new(process)))
}

/// A socket of process `pid`, without an age of its own.
fn socket(state: State, number: u16, pid: u32) -> Seen {
    let socket = Socket {
        netns: Some(1),
        cookie: u64::from(number) + 1,
        kind: Kind::Full,
        state,
        laddr: "192.0.2.1".parse().unwrap(),
        lport: 80,
        raddr: "198.51.100.7".parse().unwrap(),
        rport: 10_000 + number,
        uid: Some(7),
        inode: Some(u64::from(number) + 1),
        recv_queue: 0,
        send_queue: 0,
        timer: None,
        cgroup_id: None,
        mptcp: false,
        drops: None,
        info: None,
        age_at_least_ns: None,
    };
    Seen { socket, owners: vec![who(pid)] }
}

const INFO: Info = Info {
    srtt_us: None,
    unacked: 0,
    total_retrans: 0,
    last_data_sent_ms: 0,
    last_data_recv_ms: 0,
    last_ack_recv_ms: 0,
    bytes_acked: 0,
    bytes_received: 0,
    notsent_bytes: 0,
    snd_wnd: 0,
};

fn look(at_s: u64, sockets: Vec<Seen>) -> Sample {
    Sample { ktime_ns: at_s * SECOND, sockets, ..Sample::default() }
}

fn findings(looks: impl IntoIterator<Item = Sample>) -> Vec<Finding> {
    let (mut detectors, mut ages) = (Detectors::new(Options::default()), Ages::default());
    for mut look in looks {
        ages.apply(&mut look);
        detectors.sample(&look);
    }
    detectors.findings()
}

fn leaked(count: u16) -> Vec<Seen> {
    (0..count).map(|number| socket(State::CLOSE_WAIT, number, 812)).collect()
}

/// The kernel does not tell how long; that the same ones are there again does.
#[test]
fn ages_come_from_earlier_looks() {
    assert!(findings([look(0, leaked(9)), look(9, leaked(9))]).is_empty(), "nine seconds are not ten");
    let found = findings([look(0, leaked(9)), look(12, leaked(9))]);
    let ids: Vec<_> = found.iter().map(|finding| finding.id).collect();
    assert_eq!(ids, ["close-wait-leak"]);
    assert_eq!((found[0].severity, found[0].owners[0].pid), (Severity::Warning, 812));
}

/// A sysctl that nanoseconds have no room for, as a capture may have it, is never reached, rather than soon.
#[test]
fn the_greatest_fin_timeout_is_never_reached() {
    let stuck = |fin_timeout_s| {
        let waiting = (0..9).map(|number| {
            let mut seen = socket(State::FIN_WAIT2, number, 812);
            seen.socket.age_at_least_ns = Some(100 * SECOND);
            seen
        });
        let mut namespace = NamespaceSample::default();
        namespace.limits.fin_timeout_s = fin_timeout_s;
        Sample { namespaces: [(Some(1), namespace)].into(), ..look(0, waiting.collect()) }
    };
    assert_eq!(findings([stuck(60)])[0].id, "fin-wait2-stuck");
    assert!(findings([stuck(u64::MAX / SECOND + 1)]).is_empty());
    assert!(findings([stuck(u64::MAX)]).is_empty());
}

/// As many at each look, but other ones.
#[test]
fn a_busy_program_is_no_leak() {
    let busy = |from: u16| (from..from + 9).map(|number| socket(State::CLOSE_WAIT, number, 812)).collect();
    assert!(findings([look(0, busy(0)), look(12, busy(100)), look(24, busy(200))]).is_empty());
}

#[test]
fn one_that_has_closed_by_now_is_no_leak() {
    assert!(findings([look(0, leaked(9)), look(12, leaked(9)), look(13, vec![])]).is_empty());
}

#[test]
fn many_are_critical_and_kinds_can_be_chosen() {
    let looks = || [look(0, leaked(1_200)), look(12, leaked(1_200))];
    assert_eq!(findings(looks())[0].severity, Severity::Critical);
    for options in [
        Options { skip: vec!["close-wait-leak".to_owned()], ..Options::default() },
        Options { only: vec!["syn-flood".to_owned()], ..Options::default() },
    ] {
        let mut detectors = Detectors::new(options);
        for look in looks() {
            detectors.sample(&look);
        }
        assert!(detectors.findings().is_empty());
    }
}

/// A connection to the end 198.51.100.`end`:443, of process `pid`, that ended so.
fn ended(cause: Cause, end: u8, pid: u32, reset_reason: Option<&str>) -> Record {
    let event = event(1, SECOND, State::SYN_SENT, State::CLOSE);
    let event = Event { netns: Some(1), raddr: Ipv4Addr::new(198, 51, 100, end).into(), rport: 443, ..event };
    let mut tracker = Tracker::new(tracker::Options::default());
    let mut transitions = Vec::new();
    tracker.track(&mut Transition::of(by_process(pid, b"client", event)), |transition| {
        transitions.push(transition.clone());
    });
    let reset_reason = reset_reason.map(Arc::from);
    let closing = Closing { cause: Some(cause), reset_reason, ..Closing::default() };
    Record::Transition(Transition { closing: Some(Box::new(closing)), ..transitions.remove(0) })
}

/// Each destination has its own culprits, whoever found no port for another one.
#[test]
fn who_finds_no_port_is_named_for_that_destination_only() {
    let mut detectors = Detectors::new(Options::default());
    for (end, pid) in [(1, 30), (2, 20), (1, 10), (1, 30)] {
        detectors.record(&ended(Cause::NoLocalPort, end, pid, None));
    }
    let waits = |end: u8| {
        let mut seen = socket(State::TIME_WAIT, u16::from(end), 1);
        seen.socket.lport = 40_000;
        (seen.socket.raddr, seen.socket.rport) = (Ipv4Addr::new(198, 51, 100, end).into(), 443);
        seen
    };
    detectors.sample(&look(1, vec![waits(1), waits(2)]));
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
        let Record::Transition(refused) = ended(Cause::Refused, 1, 10, None) else { unreachable!() };
        let refused = Transition { event: Event { raddr: raddr.into(), ..refused.event }, ..refused };
        let mut connected = Transition { closing: None, ..refused.clone() };
        (connected.event.netns, connected.event.new_state) = (Some(2), State::ESTABLISHED);
        (0..10).for_each(|_| detectors.record(&Record::Transition(refused.clone())));
        (0..30).for_each(|_| detectors.record(&Record::Transition(connected.clone())));
        detectors.findings().iter().map(|finding| finding.id).collect::<Vec<_>>()
    };
    assert_eq!(found(Ipv4Addr::LOCALHOST), ["connection-refused"]);
    assert_eq!(found(Ipv4Addr::new(198, 51, 100, 1)), [""; 0]);
}

#[test]
fn what_ends_in_another_namespace_does_not_hide_what_is_reset() {
    let found = |raddr: Ipv4Addr| {
        let mut detectors = Detectors::new(Options::default());
        let Record::Transition(reset) = ended(Cause::ResetByPeer, 1, 10, None) else { unreachable!() };
        let reset = Transition { event: Event { raddr: raddr.into(), ..reset.event }, ..reset };
        let closing = Closing { cause: Some(Cause::ActiveClose), ..Closing::default() };
        let mut closed = Transition { closing: Some(Box::new(closing)), ..reset.clone() };
        closed.event.netns = Some(2);
        (0..20).for_each(|_| detectors.record(&Record::Transition(reset.clone())));
        (0..400).for_each(|_| detectors.record(&Record::Transition(closed.clone())));
        detectors.findings().iter().map(|finding| finding.id).collect::<Vec<_>>()
    };
    assert_eq!(found(Ipv4Addr::LOCALHOST), ["reset-storm"]);
    assert_eq!(found(Ipv4Addr::new(198, 51, 100, 1)), [""; 0]);
}

/// Each namespace has ports of its own.
#[test]
fn who_finds_no_port_is_named_for_that_namespace_only() {
    for (netns, told) in [(1, 1), (2, 0)] {
        let mut detectors = Detectors::new(Options::default());
        detectors.record(&ended(Cause::NoLocalPort, 1, 30, None));
        let mut waits = socket(State::TIME_WAIT, 1, 1);
        waits.socket.netns = Some(netns);
        (waits.socket.raddr, waits.socket.rport) = (Ipv4Addr::new(198, 51, 100, 1).into(), 443);
        waits.socket.lport = 40_000;
        detectors.sample(&look(1, vec![waits]));
        assert_eq!(detectors.findings().len(), told, "namespace {netns}");
    }
}

/// The same look says the same, and names the least of the addresses that a listener is reached at.
#[test]
fn phantoms_are_told_alike_each_time() {
    let silent = |number: u8, ms: u32| {
        let mut seen = socket(State::ESTABLISHED, number.into(), 812);
        seen.socket.laddr = Ipv4Addr::new(192, 0, 2, number % 4).into();
        seen.socket.raddr = Ipv4Addr::new(198, 51, 100, number / 2 % 9).into();
        let info = Info { last_data_recv_ms: ms, last_ack_recv_ms: ms, ..INFO };
        seen.socket.info = Some(info);
        seen
    };
    let all = || {
        let silent = (0..36).map(|number| silent(number, if number % 2 == 0 { 90_000 } else { 5 }));
        silent.chain([socket(State::LISTEN, 99, 812)]).collect()
    };
    let first = findings([look(0, all())]);
    let phantom = first.iter().find(|finding| finding.id == "phantom-established").unwrap();
    assert!(phantom.summary.contains("192.0.2.0:80"), "{}", phantom.summary);
    for _ in 0..20 {
        assert_eq!(findings([look(0, all())]), first);
    }
}

/// A threshold in seconds that nanoseconds have no room for is never reached, rather than soon.
#[test]
fn the_greatest_threshold_is_never_reached() {
    let most = "[close-wait-leak]\nage_s = 9223372036854775807\n[stuck]\nage_s = 9223372036854775807\n";
    let thresholds = Thresholds::parse(most).unwrap();
    let mut detectors = Detectors::new(Options { thresholds, ..Options::default() });
    let all = [State::CLOSE_WAIT, State::LAST_ACK].iter().flat_map(|state| {
        (0..9).map(|number| {
            let mut seen = socket(*state, number, 812);
            seen.socket.age_at_least_ns = Some(u64::MAX - 1);
            seen
        })
    });
    detectors.sample(&look(0, all.collect()));
    assert_eq!(detectors.findings(), []);
}

fn report(findings: Vec<Finding>) -> Report {
    Report {
        host: "web-1".to_owned(),
        kernel: "6.12".to_owned(),
        started: jiff::Timestamp::UNIX_EPOCH,
        elapsed_ns: 30 * SECOND,
        verdict: Verdict::of(&findings, Severity::Warning, &Sight::default()),
        findings,
        sight: Sight::default(),
        totals: Totals { transitions: 12, half_open: 3, looks: 6 },
    }
}

/// What others have chosen is shown, and does nothing.
#[test]
fn hostile_names_do_no_harm() {
    let reset = ended(Cause::ResetByPeer, 1, 812, Some("\x1b[2J"));
    let mut detectors = Detectors::new(Options::default());
    (0..20).for_each(|_| detectors.record(&reset));
    let reset = report(detectors.findings());
    assert_eq!(reset.findings.len(), 1);
    let text = render(&reset, Format::Text, false);
    assert!(!text.contains('\x1b') && text.contains("x1b"), "{text}");
    let report = report(findings([look(0, leaked(9)), look(12, leaked(9))]));
    for format in [Format::Text, Format::Json, Format::Markdown] {
        let text = render(&report, format, false);
        let raw = |c: char| c != '\n' && c.is_control();
        assert!(!text.contains(raw), "{format:?}: {text:?}");
        assert!(text.contains("x1b"), "{format:?}: it is shown: {text}");
    }
    assert!(!render(&report, Format::Markdown, false).contains("<b>"));
    insta::assert_snapshot!("markdown", render(&report, Format::Markdown, false));
    insta::assert_snapshot!("text", render(&report, Format::Text, false));
}

proptest! {
    /// In which order the kernel lists sockets does not matter.
    #[test]
    fn the_order_of_sockets_does_not_matter(seed in Just((0..40_u16).collect::<Vec<_>>()).prop_shuffle()) {
        let all = |order: &[u16]| -> Vec<Seen> {
            let states = [State::CLOSE_WAIT, State::FIN_WAIT1, State::LAST_ACK, State::FIN_WAIT2, State::LISTEN];
            let one = |number: &u16| {
                socket(states[usize::from(*number) % states.len()], *number, 800 + u32::from(*number % 2))
            };
            order.iter().map(one).collect()
        };
        let sorted: Vec<u16> = (0..40).collect();
        let summaries = |order: &[u16]| -> Vec<String> {
            let found = findings([look(0, all(order)), look(70, all(order))]);
            found.into_iter().map(|finding| finding.summary).collect()
        };
        prop_assert_eq!(summaries(&seed), summaries(&sorted));
    }
}
