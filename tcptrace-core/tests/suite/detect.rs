//! Detectors on made-up scans: what they say of the same sockets, seen again and again, in any order.

use std::{collections::HashSet, net::Ipv4Addr, sync::Arc};

use crate::common::shown::{Show as _, Shown};
use crate::common::{
    Moved as _, half_open,
    scans::{INFO, SECOND, ended, findings, scan, socket},
};
use proptest::prelude::*;
use tcptrace_core::{
    diagnosis::{
        detect::{Ages, Detectors, Options, Sample, Seen, Thresholds},
        report::{Coverage, Report, Totals, Verdict},
    },
    model::{
        close::{Cause, Closing, Role},
        finding::{Finding, Severity},
        half_open::{Change, End, Source, What},
        namespace::NamespaceSample,
        socket::Info,
        state::State,
        transition::Transition,
    },
    output::findings::{Format, render},
};

/// Of a server, and its listener.
fn leaked(count: u16) -> Vec<Seen> {
    let mut listener = socket(State::LISTEN, 50_000, 812);
    listener.socket.flow.remote.port = 0;
    // Its file is gone, which would be another finding.
    listener.owners = [].into();
    let leaked = (0..count).map(|number| socket(State::CLOSE_WAIT, number, 812));
    leaked.chain([listener]).collect()
}

/// The kernel does not tell how long; that the same ones are there again does.
#[test]
fn ages_come_from_earlier_looks() {
    assert!(findings([scan(0, leaked(9)), scan(9, leaked(9))]).is_empty(), "nine seconds are not ten");
    let found = findings([scan(0, leaked(9)), scan(22, leaked(9))]);
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
        Sample { namespaces: [(Some(1), namespace)].into(), ..scan(0, waiting.collect()) }
    };
    assert_eq!(findings([stuck(60)])[0].id, "fin-wait2-stuck");
    assert!(findings([stuck(u64::MAX / SECOND + 1)]).is_empty());
    assert!(findings([stuck(u64::MAX)]).is_empty());
}

/// As many at each scan, but other ones.
#[test]
fn a_busy_program_is_no_leak() {
    let busy = |from: u16| (from..from + 9).map(|number| socket(State::CLOSE_WAIT, number, 812)).collect();
    assert!(findings([scan(0, busy(0)), scan(12, busy(100)), scan(24, busy(200))]).is_empty());
}

#[test]
fn one_that_has_closed_by_now_is_no_leak() {
    assert!(findings([scan(0, leaked(9)), scan(22, leaked(9)), scan(13, vec![])]).is_empty());
}

#[test]
fn many_are_critical_and_kinds_can_be_chosen() {
    let scans = || [scan(0, leaked(1_200)), scan(22, leaked(1_200))];
    assert_eq!(findings(scans())[0].severity, Severity::Critical);
    for options in [
        Options { skip: vec!["close-wait-leak".to_owned()], ..Options::default() },
        Options { only: vec!["syn-flood".to_owned()], ..Options::default() },
    ] {
        let mut detectors = Detectors::new(options);
        for scan in scans() {
            detectors.sample(&scan);
        }
        assert!(detectors.findings().is_empty());
    }
}

#[test]
fn what_ends_in_another_namespace_does_not_hide_what_is_reset() {
    let found = |raddr: Ipv4Addr| {
        let mut detectors = Detectors::new(Options::default());
        let Shown::Transition(reset) = ended(Cause::ResetByPeer, 1, 10, None) else { unreachable!() };
        let reset = Transition { event: reset.event.raddr(raddr.into()), ..reset };
        let closing = Closing { cause: Some(Cause::ActiveClose), ..Closing::default() };
        let mut closed = Transition { closing: Some(Box::new(closing)), ..reset.clone() };
        (closed.event.flow.netns, closed.event.old_state) = (Some(2), State::FIN_WAIT2);
        (0..20).for_each(|_| detectors.show(&Shown::Transition(reset.clone())));
        (0..400).for_each(|_| detectors.show(&Shown::Transition(closed.clone())));
        detectors.findings().iter().map(|finding| finding.id).collect::<Vec<_>>()
    };
    assert_eq!(found(Ipv4Addr::LOCALHOST), ["reset-storm"]);
    assert_eq!(found(Ipv4Addr::new(198, 51, 100, 1)), [""; 0]);
}

/// Within the host both ends of a connection are seen; it is one, and one of them sent the reset.
#[test]
fn a_connection_within_the_host_is_reset_once() {
    let ends = |detectors: &mut Detectors, at_server: Cause, at_client: Cause| {
        let Shown::Transition(client) = ended(at_client, 1, 10, None) else { unreachable!() };
        let mut server = client.clone();
        server.event.flow = client.event.flow.reversed();
        let closing = Closing { cause: Some(at_server), role: Some(Role::Server), ..Closing::default() };
        server.closing = Some(Box::new(closing));
        detectors.transition(&client);
        detectors.transition(&server);
    };
    for (at_server, at_client) in
        [(Cause::ResetLinger, Cause::ResetByPeer), (Cause::ResetByPeer, Cause::ResetUnread)]
    {
        let mut detectors = Detectors::new(Options::default());
        (0..19).for_each(|_| ends(&mut detectors, at_server, at_client));
        assert_eq!(detectors.findings(), [], "19 are no storm");
        (0..6).for_each(|_| ends(&mut detectors, at_server, at_client));
        let [found] = &detectors.findings()[..] else { panic!("one") };
        assert_eq!(
            found.summary,
            "25 of 25 connections at 198.51.100.1:443 ended by a reset, by this host; what they lost is not known"
        );
    }
}

/// What to do follows from who sent most of them.
#[test]
fn one_reset_of_this_host_does_not_make_it_the_cause() {
    for (here, step) in [(1, "Reset by the peer"), (19, "Reset by the peer"), (20, "Reset here")] {
        let mut detectors = Detectors::new(Options::default());
        for number in 0..40 {
            let cause = if number < here { Cause::ResetLinger } else { Cause::ResetByPeer };
            detectors.show(&ended(cause, 1, 10, None));
        }
        let [found] = &detectors.findings()[..] else { panic!("one") };
        assert!(found.summary.contains("by both sides"), "{}", found.summary);
        assert!(found.next_steps.iter().any(|next| next.what.starts_with(step)), "{here}: {found:#?}");
    }
}

/// A process may have several faults of a kind, and each stays the same while it grows.
#[test]
fn each_fault_has_its_own_key_for_as_long_as_it_lasts() {
    let listener = |lport: u16| {
        let mut seen = socket(State::LISTEN, 0, 812);
        seen.socket.flow.local.port = lport;
        seen
    };
    let found = findings([
        scan(0, vec![]),
        scan(1, vec![listener(80), listener(81)]),
        scan(2, vec![listener(80), listener(81)]),
    ]);
    let keys: HashSet<String> = found.iter().map(Finding::key).collect();
    assert_eq!((found.len(), keys.len()), (2, 2), "{keys:?}");

    let mut detectors = Detectors::new(Options::default());
    let mut flood = |from: u8, peers: std::ops::Range<u8>| {
        for peer in peers {
            for what in [What::Begin(Source::Syn), What::Retransmit, What::End(End::TimedOut)] {
                detectors.show(&Shown::HalfOpen(half_open([203, 0, 113, peer], what, from.into())));
            }
        }
        let found = detectors.findings();
        assert_eq!(found.len(), 1);
        (found[0].key(), found[0].peers.clone())
    };
    let (first, peers) = (flood(64, 100..180), flood(90, 1..79));
    assert_ne!(first.1, peers.1, "others come first by now");
    assert_eq!(first.0, peers.0);
}

/// Whoever chooses addresses does not choose how much memory it takes; what is left out is counted.
#[test]
fn tables_by_addresses_have_room_for_so_many() {
    let many = |state: State| {
        let at = |number: u32| {
            let mut seen = socket(state, 0, 812);
            let address = Ipv4Addr::from(0x0a00_0000 + number).into();
            if state == State::LISTEN {
                (seen.socket.flow.local.address, seen.socket.cookie) = (address, u64::from(number) + 1);
            } else {
                (seen.socket.flow.remote.address, seen.socket.flow.local.port) = (address, 40_000);
            }
            seen
        };
        (0..65_540).map(at).collect::<Vec<_>>()
    };
    let left_out = |records: Vec<Shown>, id: &str| {
        let mut detectors = Detectors::new(Options { only: vec![id.to_owned()], ..Options::default() });
        for record in &records {
            detectors.show(record);
        }
        detectors.left_out().into_iter().map(|(_, count)| count).sum::<u64>()
    };
    let of_look = |state, id| left_out(vec![Shown::Sample(Box::new(scan(1, many(state))))], id);
    assert_eq!(of_look(State::LISTEN, "accept-queue-overflow"), 4);
    assert_eq!(of_look(State::ESTABLISHED, "port-exhaustion"), 0, "one port each exhausts nothing");
    let twice = [many(State::ESTABLISHED), many(State::ESTABLISHED)].concat();
    assert_eq!(left_out(vec![Shown::Sample(Box::new(scan(1, twice)))], "port-exhaustion"), 4);
    let syn = |number: u32| {
        let mut change = half_open([203, 0, 113, 1], What::Begin(Source::Syn), 1);
        change.connection.flow.local.address = Ipv4Addr::from(0x0a00_0000 + number).into();
        [change.clone(), Change { what: What::Retransmit, ..change }].map(Shown::HalfOpen)
    };
    assert_eq!(left_out((0..4_100).flat_map(syn).collect(), "syn-flood"), 8, "of each its two records");
}

/// Commands tell of the namespace that they run in: where that is another one, how to enter it comes first.
#[test]
fn what_is_elsewhere_says_how_to_get_there() {
    let first_step_of = |own_netns, netns, elsewhere: bool, is_known: bool| {
        let leaked = || {
            let mut all = leaked(9);
            for seen in &mut all {
                seen.socket.flow.netns = Some(netns);
                for who in Arc::make_mut(&mut seen.owners) {
                    drop(who.process.take_if(|_| !is_known));
                }
            }
            all[8].socket.flow.netns = Some(if elsewhere { netns + 1 } else { netns });
            all
        };
        let mut detectors = Detectors::new(Options { own_netns, ..Options::default() });
        let mut ages = Ages::default();
        for mut scan in [scan(0, leaked()), scan(22, leaked())] {
            ages.apply(&mut scan);
            detectors.sample(&scan);
        }
        let found = detectors.findings().remove(0);
        (found.netns, found.next_steps[0].command.clone().unwrap())
    };
    let first_step = |own_netns, netns, elsewhere| first_step_of(own_netns, netns, elsewhere, true);
    let see = "ss -tanp state close-wait | grep pid=812,".to_owned();
    assert_eq!(first_step(Some(1), 1, false), (Some(1), see.clone()));
    assert_eq!(first_step(None, 1, false), (Some(1), see.clone()), "nobody knows where it runs");
    assert_eq!(first_step(Some(9), 1, true), (None, see), "it is in several");
    assert_eq!(first_step(Some(9), 1, false), (Some(1), "nsenter -t 812 -n".to_owned()));
    assert_eq!(first_step(Some(9), 2, false), (Some(2), "lsns -t net".to_owned()), "its process is in 1");
    let unknown = first_step_of(Some(9), 1, false, false);
    assert_eq!(unknown, (Some(1), "lsns -t net".to_owned()), "nobody knows where its process is");
}

/// `sk_acceptq_is_full()`: one more than the backlog.
#[test]
fn a_queue_takes_one_more_than_its_backlog() {
    for (waiting, backlog, is_full) in [(0, 0, false), (1, 0, true), (5, 5, false), (6, 5, true)] {
        let mut seen = socket(State::LISTEN, 0, 812);
        (seen.socket.recv_queue, seen.socket.send_queue) = (waiting, backlog);
        let mut detectors =
            Detectors::new(Options { only: vec!["accept-queue-overflow".to_owned()], ..Options::default() });
        for (second, overflows) in [(0, 0), (1, 3)] {
            let counters = [("ListenOverflows".to_owned(), overflows)].into();
            let namespaces = [(Some(1), NamespaceSample { counters, ..NamespaceSample::default() })].into();
            detectors.sample(&Sample { namespaces, ..scan(second, vec![seen.clone()]) });
        }
        let overflows = detectors.findings().iter().any(|finding| finding.severity > Severity::Info);
        assert_eq!(overflows, is_full, "{waiting} of {backlog}");
    }
}

/// The same look says the same, and names the least of the addresses that a listener is reached at.
#[test]
fn phantoms_are_told_alike_each_time() {
    let silent = |number: u8, ms: u32| {
        let mut seen = socket(State::ESTABLISHED, number.into(), 812);
        seen.socket.flow.local.address = Ipv4Addr::new(192, 0, 2, number % 4).into();
        seen.socket.flow.remote.address = Ipv4Addr::new(198, 51, 100, number / 2 % 9).into();
        let info = Info { last_data_recv_ms: Some(ms), last_ack_recv_ms: Some(ms), ..INFO };
        seen.socket.info = Some(info);
        seen
    };
    let all = || {
        let silent = (0..36).map(|number| silent(number, if number % 2 == 0 { 90_000 } else { 5 }));
        silent.chain([socket(State::LISTEN, 99, 812)]).collect()
    };
    let first = findings([scan(0, all())]);
    let phantom = first.iter().find(|finding| finding.id == "phantom-established").unwrap();
    assert!(phantom.summary.contains("192.0.2.0:80"), "{}", phantom.summary);
    for _ in 0..20 {
        assert_eq!(findings([scan(0, all())]), first);
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
    detectors.sample(&scan(0, all.collect()));
    assert_eq!(detectors.findings(), []);
}

fn report(findings: Vec<Finding>) -> Report {
    Report {
        host: "web-1".to_owned(),
        kernel: "6.12".to_owned(),
        started: jiff::Timestamp::UNIX_EPOCH,
        elapsed_ns: 30 * SECOND,
        filters: Vec::new(),
        verdict: Verdict::of(&findings, Severity::Warning, &Coverage::default()),
        findings,
        coverage: Coverage::default(),
        totals: Totals { transitions: 12, half_open: 3, scans: 6 },
    }
}

#[test]
fn a_report_names_the_filters_that_limit_it() {
    let all = report(Vec::new());
    let some = Report { filters: vec!["--local-port 80".to_owned()], ..all.clone() };
    for format in [Format::Text, Format::Json, Format::Markdown] {
        assert!(render(&some, format, false).contains("--local-port 80"), "{format:?}");
        assert!(!render(&all, format, false).contains("These options limit"), "{format:?}");
    }
}

/// What others have chosen is shown, and does nothing.
#[test]
fn hostile_names_do_no_harm() {
    let reset = ended(Cause::ResetByPeer, 1, 812, Some("\x1b[2J"));
    let mut detectors = Detectors::new(Options::default());
    (0..20).for_each(|_| detectors.show(&reset));
    let reset = report(detectors.findings());
    assert_eq!(reset.findings.len(), 1);
    let text = render(&reset, Format::Text, false);
    assert!(!text.contains('\x1b') && text.contains("x1b"), "{text}");
    let report = report(findings([scan(0, leaked(9)), scan(22, leaked(9))]));
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
            let found = findings([scan(0, all(order)), scan(70, all(order))]);
            found.into_iter().map(|finding| finding.summary).collect()
        };
        prop_assert_eq!(summaries(&seed), summaries(&sorted));
    }
}
