//! Tests that a report names its gaps.

use std::collections::HashMap;

use tcptrace_common::Counters;

use super::{super::Verdict, *};
use crate::model::{
    clock::Clock,
    finding::{Confidence, Finding, Harm, Severity},
    header::{Before, Hidden},
    hooks::{Hook, Syns},
    loss::Lost,
    summary::Reconciled,
};

/// The summary and header of a trace without gaps.
fn complete() -> (Summary, Header) {
    let summary = Summary {
        ktime_ns: 1,
        elapsed_ns: 1,
        counters: Counters::ZERO,
        delivered: 0,
        filtered: 0,
        lost: Lost::default(),
        missed_runs_known: true,
        evicted: 0,
        second_children: 0,
        connections: None,
        inferred: 0,
        reconciled: Reconciled::default(),
        uncounted: Vec::new(),
        snapshot_gaps: None,
        half_open: None,
    };
    let header = Header {
        tool: String::new(),
        host: String::new(),
        kernel: String::new(),
        little_endian: true,
        clock: Clock::with_offset(0),
        start_ns: 0,
        hook: Hook::TpBtf,
        half_open: Some(HalfOpenHooks {
            syns: Ok(Syns { whole_host: true, netns: true }),
            retransmits: Ok(()),
        }),
        polled: true,
        cookies: true,
        retransmits: true,
        reset_reasons: HashMap::default(),
        hidden: Hidden::default(),
        netns: 0,
        tgid: 0,
        before: Before::default(),
        own_netns: None,
        own_pids: false,
        resets: true,
        filters: Vec::new(),
    };
    (summary, header)
}

/// Scans, each with its gaps, or with the reason why it failed.
fn scans(all: &[Result<Option<&str>, &str>]) -> Scans {
    let mut scans = Scans::default();
    for scan in all {
        match scan {
            Ok(unseen) => scans.seen(*unseen),
            Err(why) => scans.failed(why),
        }
    }
    scans
}

/// A gap of only the first of several scans counts as well: growth is counted from that scan.
#[test]
fn every_scan_counts() {
    let (summary, header) = complete();
    let missing = |all: &[_]| Coverage::of(&summary, &header, &scans(all), None).gaps;
    assert_eq!(missing(&[Ok(None), Ok(None)]), [""; 0]);
    assert_eq!(missing(&[Ok(Some("a namespace")), Ok(None)]), ["a namespace (in 1 of 2 scans)"]);
    assert_eq!(missing(&[Ok(Some("a namespace")), Ok(Some("a namespace"))]), ["a namespace"]);
    assert_eq!(missing(&[Err("no memory"), Ok(None)]), ["the host's sockets (no memory (in 1 of 2 scans))"]);
}

#[test]
fn what_the_trace_lacked_is_missing_here() {
    let (mut summary, header) = complete();
    summary.reconciled = Reconciled { appeared: 1, vanished: 2, changed: 0 };
    summary.snapshot_gaps = Some("the sockets of 9 processes".to_owned());
    let coverage = Coverage::of(&summary, &header, &scans(&[Ok(None)]), None);
    assert_eq!(coverage.gaps.len(), 2, "{coverage:?}");
    assert_eq!(coverage.gaps_of(&[Source::Transitions]), coverage.gaps);
    assert!(coverage.gaps[1].contains("3 sockets"), "{coverage:?}");
    assert!(!coverage.is_complete());
    let too = scans(&[Ok(summary.snapshot_gaps.as_deref())]);
    let coverage = Coverage::of(&summary, &header, &too, None);
    assert_eq!(coverage.gaps.len(), 2, "told once: {coverage:?}");
    assert!(
        coverage.gaps_of(&[Source::Scans]).len() == 1 && coverage.gaps_of(&[Source::Transitions]).len() == 2
    );
}

/// It is unknown whether anything is missing. The report says so, and the verdict stays the same.
#[test]
fn what_the_kernel_does_not_count_is_not_known() {
    let (mut summary, header) = complete();
    summary.missed_runs_known = false;
    let coverage = Coverage::of(&summary, &header, &scans(&[Ok(None)]), None);
    assert_eq!((coverage.unknown.len(), coverage.is_complete()), (1, true));
}

#[test]
fn not_healthy_where_something_was_not_seen() {
    let finding = |severity| {
        let finding = Finding::new("close-wait-leak", Confidence::HIGH, String::new());
        vec![finding.harms(severity, Harm::new(1, "tests", "nobody"))]
    };
    let all = Coverage::default();
    let lost = Coverage { lost: 1, ..Coverage::default() };
    let blind = Coverage { gaps: vec!["SYNs".to_owned()], ..Coverage::default() };
    let verdict = |findings: &[Finding], coverage| Verdict::of(findings, Severity::Warning, coverage);
    assert_eq!(verdict(&[], &all), Verdict::Healthy);
    assert_eq!(verdict(&[], &lost), Verdict::Insufficient);
    assert_eq!(verdict(&finding(Severity::Info), &blind), Verdict::Insufficient);
    assert_eq!(verdict(&finding(Severity::Info), &all), Verdict::Healthy);
    assert_eq!(verdict(&finding(Severity::Critical), &lost), Verdict::Findings);
}

/// A finding names the gaps of its own sources, and not those of others.
#[test]
fn each_source_has_its_own() {
    let mut coverage = Coverage::default();
    coverage.loses(Source::Transitions, 7, "transitions and signals were lost");
    coverage.loses(Source::HalfOpen, 0, "records of half-open connections were lost");
    coverage.lacks(&[Source::HalfOpen, Source::Scans], "the rest of the capture".to_owned());
    assert_eq!((coverage.lost, coverage.gaps.len()), (7, 1));
    assert_eq!(coverage.gaps_of(&[Source::Transitions]), ["7 transitions and signals were lost"]);
    assert_eq!(coverage.gaps_of(&[Source::HalfOpen, Source::Scans]), ["the rest of the capture"]);
}

/// The text after "Not seen:".
#[test]
fn what_had_no_room_is_said_in_words() {
    let mut coverage = Coverage::default();
    coverage.full_tables(&["accept-queue-overflow"], 8);
    let said = "some of what accept-queue-overflow would distinguish (the tables were full 8 times)";
    assert_eq!(coverage.gaps, [said]);
}
