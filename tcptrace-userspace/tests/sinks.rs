//! Every output format, as it comes out: transitions, losses, the account, hostile names.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{by_process, comm, event, listens};
use tcptrace::{
    clock::Clock,
    event::Event,
    record::{Loss, Lost, Record, Summary, Transition},
    sink::{Format, Style, TimeColumn, sink},
    state::State,
    tracker::{Options, Reconciled, Tracker},
};
use tcptrace_common::{CloseMetrics, Counters};

/// 2026-09-21T14:13:20Z.
const EPOCH: i128 = 1_790_000_000_000_000_000;

fn style(format: Format) -> Style {
    Style {
        format,
        time: TimeColumn::Millis,
        colour: false,
        clock: Clock::with_offset(EPOCH),
        zone: jiff::tz::TimeZone::UTC,
        start_ns: 1_000,
    }
}

/// A server's day: it listens, serves a client that goes away, a stranger calls himself something else, another
/// connection is refused, and in the end something is lost.
fn story() -> Vec<Record> {
    let hostile = |event: Event| {
        let mut event = by_process(666, b"", event);
        event.context.comm = comm(b"\x1b[2J,\"\xff\n");
        event
    };
    let v6 = |event: Event| Event {
        laddr: "2001:db8::1".parse().unwrap(),
        raddr: "2001:db8:0:ffff:ffff:ffff:ffff:ffff".parse().unwrap(),
        ..event
    };
    let last = Event {
        metrics: Some(CloseMetrics { bytes_acked: 5_120, bytes_received: 78, srtt_us: 412, retransmits: 2 }),
        ..event(2, 92_000_000_000, State(9), State::CLOSE)
    };
    let refused = Event {
        error: Some(111),
        metrics: Some(CloseMetrics::default()),
        ..event(3, 92_500_000_000, State::SYN_SENT, State::CLOSE)
    };
    let unbound = Event { lport: 0, ..event(3, 92_400_000_000, State::CLOSE, State::SYN_SENT) };
    let bare = Event {
        netns: None,
        cookie: 0,
        error: None,
        context: tcptrace::event::Context { in_process: None, ..event(5, 0, State(0), State(0)).context },
        ..event(5, 93_000_000_000, State(13), State(200))
    };
    let events = [
        listens(1, 1_500_000, 812),
        event(2, 2_000_000, State::LISTEN, State::SYN_RECV),
        event(2, 2_007_000, State::SYN_RECV, State::ESTABLISHED),
        event(2, 5_217_000, State::ESTABLISHED, State::CLOSE_WAIT),
        by_process(815, b"nginx-worker", event(2, 91_960_000_000, State::CLOSE_WAIT, State(9))),
        last,
        hostile(unbound),
        refused,
        v6(event(4, 92_600_000_000, State::ESTABLISHED, State(4))),
        bare,
    ];
    let mut tracker = Tracker::new(Options { limit: 100, ..Options::default() });
    let mut records = Vec::new();
    for event in events {
        tracker.track(event, |transition: Transition| records.push(Record::Transition(transition)));
    }
    let lost = Lost { ring_full: 40, output: 0, undecodable: 1, missed_runs: 1, others: 3 };
    let total = std::num::NonZeroU64::new(42).unwrap();
    records.push(Record::Loss(Loss { ktime_ns: 94_000_000_000, lost, total }));
    let mut counters = Counters::ZERO;
    counters.seen[7][10] = 1;
    counters.seen[1][8] = 50;
    counters.other_protocol = 3;
    records.push(Record::Summary(Box::new(Summary {
        ktime_ns: 95_000_000_000,
        elapsed_ns: 94_999_000_000,
        counters,
        delivered: 10,
        filtered: 0,
        lost,
        missed_runs_known: true,
        evicted: 0,
        inferred: 2,
        reconciled: Reconciled::default(),
        unlisted: None,
    })));
    records
}

fn written(style: Style) -> String {
    let mut sink = sink(style);
    let mut out = Vec::new();
    sink.header(&mut out).unwrap();
    for record in story() {
        sink.write(&record, &mut out).unwrap();
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn text() {
    insta::assert_snapshot!(written(style(Format::Text)));
}

#[test]
fn wide() {
    insta::assert_snapshot!(written(style(Format::Wide)));
}

#[test]
fn json() {
    insta::assert_snapshot!(written(style(Format::Json)));
}

#[test]
fn csv() {
    insta::assert_snapshot!(written(style(Format::Csv)));
}

#[test]
fn times_relative_and_in_seconds() {
    let first_column = |time| {
        written(Style { time, ..style(Format::Text) })
            .lines()
            .map(|line| line.split_whitespace().next().unwrap().to_owned())
            .take(6)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        first_column(TimeColumn::Relative),
        ["TIME(s)", "0.001499", "0.001999", "0.002006", "0.005216", "91.959999"]
    );
    assert_eq!(first_column(TimeColumn::Seconds)[1..3], ["14:13:20", "14:13:20"]);
}

#[test]
fn colour_only_when_asked_for() {
    assert!(!written(style(Format::Text)).contains('\x1b'));
    let coloured = written(Style { colour: true, ..style(Format::Text) });
    assert!(coloured.contains("\x1b[33mCLOSE_WAIT") && coloured.contains("\x1b[31mCLOSE"), "{coloured}");
}

#[test]
fn no_raw_control_byte_in_any_format() {
    for format in [Format::Text, Format::Wide, Format::Json, Format::Csv] {
        let out = written(style(format));
        assert!(out.chars().all(|c| c == '\n' || !c.is_control()), "{format:?}: {out}");
        assert!(out.contains("\\x1b[2J"), "{format:?} hides the name: {out}");
    }
}

#[test]
fn json_lines_follow_the_schema() {
    let schema = include_str!("../../docs/output.schema.json");
    let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let out = written(style(Format::Json));
    for line in out.lines() {
        let value = serde_json::from_str(line).unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{line}: {errors:?}");
    }
    assert_eq!(out.lines().count(), story().len());
}

#[test]
fn csv_rows_have_as_many_fields_as_the_header() {
    let out = written(style(Format::Csv));
    let mut reader = csv::ReaderBuilder::new().from_reader(out.as_bytes());
    let columns = reader.headers().unwrap().len();
    let rows: Vec<_> = reader.records().map(|row| row.unwrap()).collect();
    // All but the summary, which goes to standard error.
    assert_eq!(rows.len(), story().len() - 1);
    assert!(rows.iter().all(|row| row.len() == columns));
}
