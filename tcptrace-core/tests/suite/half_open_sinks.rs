//! Half-open connections in every output format.

use std::sync::Arc;

use crate::common::{
    comm,
    story::{assert_escaped, assert_in_schema, style, write},
};
use tcptrace_common::{Counters, HalfOpenCounters};
use tcptrace_core::{
    model::{
        flow::{Endpoint, Flow},
        half_open::{Change, Connection, Counts, End, Lost, Source, Summary, What},
        loss,
        netstat::{NamespaceCounters, Netstat},
        owner::{Owner, Provenance},
        record::{HalfOpenLoss, Record},
        summary::{self, Reconciled},
    },
    output::{Format, Style},
};

const SECOND: u64 = 1_000_000_000;

fn change(ktime_ns: u64, what: What, raddr: &str, retransmits: u32, open: u64) -> Record {
    let v6 = raddr.contains(':');
    let laddr = if v6 { "2001:db8::1" } else { "192.0.2.1" };
    Record::HalfOpen(Change {
        ktime_ns,
        what,
        connection: Connection {
            cookie: 1_000,
            flow: Flow {
                netns: (!v6).then_some(4_026_531_833),
                local: Endpoint::new(laddr.parse().unwrap(), 80),
                remote: Endpoint::new(raddr.parse().unwrap(), 40_000),
            },
        },
        age_ns: (!matches!(what, What::Begin(_))).then_some(ktime_ns),
        retransmits,
        open,
        owner: (!v6).then(|| {
            Arc::new(Owner {
                pid: 812,
                uid: 33,
                comm: comm(b"ng\x1b,\"inx"),
                provenance: Provenance::Inherited,
                others: None,
                process: None,
            })
        }),
        recorded: true,
    })
}

/// A flood, an honest client, a loss, and the account.
fn story() -> Vec<Record> {
    let peer = "203.0.113.9";
    vec![
        change(1_000, What::Begin(Source::Syn), peer, 0, 17),
        change(2_000, What::Begin(Source::Poll), "2001:db8:0:ffff:ffff:ffff:ffff:ffff", 3, 1),
        change(SECOND, What::Retransmit, "198.51.100.200", 1, 17),
        change(SECOND, What::Retransmit, peer, 2, 17),
        change(30_000, What::End(End::Completed), peer, 0, 16),
        change(63 * SECOND, What::End(End::TimedOut), peer, 5, 15),
        change(SECOND, What::End(End::Dropped), peer, 0, 14),
        change(SECOND, What::End(End::Unknown), "2001:db8::7", 0, 0),
        Record::HalfOpenLoss(HalfOpenLoss {
            ktime_ns: 64 * SECOND,
            lost: Lost { ring_full: 40, output: 0, undecodable: 2, missed_runs: 0 },
            total: 50,
        }),
        Record::Summary(Box::new(summary::Summary {
            ktime_ns: 65 * SECOND,
            elapsed_ns: 65 * SECOND,
            counters: Counters::ZERO,
            delivered: 0,
            filtered: 0,
            lost: loss::Lost::default(),
            missed_runs_known: true,
            evicted: 0,
            second_children: 0,
            connections: None,
            inferred: 0,
            reconciled: Reconciled::default(),
            snapshot_gaps: None,
            uncounted: Vec::new(),
            half_open: Some(Summary {
                followed: Some(Counts { begun: 20, completed: 6, open: 14, ..Counts::default() }),
                counters: HalfOpenCounters { syns: 20, retransmits: 60, ..HalfOpenCounters::default() },
                delivered: 38,
                filtered: 0,
                lost: Lost { ring_full: 40, output: 0, undecodable: 2, missed_runs: 0 },
                namespaces: vec![NamespaceCounters {
                    netns: Some(4_026_531_833),
                    grown: Netstat::of("TcpExt: ListenDrops SyncookiesSent\nTcpExt: 7 0\n"),
                }],
                unpolled: None,
            }),
        })),
    ]
}

pub(crate) fn written(style: &Style) -> String {
    write(style, &story())
}

#[test]
fn text() {
    insta::assert_snapshot!(written(&style(Format::Text)));
}

#[test]
fn wide() {
    insta::assert_snapshot!(written(&style(Format::Wide)));
}

#[test]
fn json() {
    insta::assert_snapshot!(written(&style(Format::Json)));
}

#[test]
fn csv() {
    insta::assert_snapshot!(written(&style(Format::Csv)));
}

#[test]
fn no_raw_control_byte_in_any_format() {
    assert_escaped("\\x1b,", |format| written(&style(format)));
}

#[test]
fn json_lines_follow_the_schema() {
    assert_in_schema(&written(&style(Format::Json)));
}

#[test]
fn csv_rows_have_as_many_fields_as_the_header() {
    let out = written(&style(Format::Csv));
    let mut reader = csv::ReaderBuilder::new().from_reader(out.as_bytes());
    let lost = reader.headers().unwrap().iter().position(|name| name == "lost").unwrap();
    let rows: Vec<_> = reader.records().map(|row| row.unwrap()).collect();
    assert_eq!(rows.len(), story().len() - 1);
    assert_eq!(&rows[8][lost], "42");
}
