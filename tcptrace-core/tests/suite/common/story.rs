//! A story with a bit of everything that a sink may be given.

use std::sync::Arc;

use tcptrace_common::{CloseMetrics, Counters, Level};
use tcptrace_core::{
    model::{
        clock::Clock,
        clock_watch::ClockChange,
        close::{Cause, Closing, Role},
        event::{Device, Event},
        loss::{Lost, SampledOut},
        owner::{Owner, Provenance},
        record::{Degraded, Loss, Record},
        state::State,
        summary::{Reconciled, Summary},
        transition::{Origin, Transition},
        view::View,
    },
    output::{Format, Style, TimeColumn, sink},
    pipeline::tracker::{Options, Tracker},
};

use super::{Moved as _, by_process, comm, event, listens};

/// 2026-09-21T14:13:20Z.
const EPOCH: i128 = 1_790_000_000_000_000_000;

pub(crate) fn style(format: Format) -> Style {
    Style {
        format,
        view: View::Transitions,
        time: TimeColumn::Millis,
        colour: false,
        clock: Clock::with_offset(EPOCH),
        zone: jiff::tz::TimeZone::UTC,
        start_ns: 1_000,
    }
}

/// How connections end, as the tracker would tell it.
fn ends() -> Vec<Transition> {
    let end = |event: Event, closing: Closing| Transition {
        event,
        in_old_state_ns: Some(4_000),
        at_least_ns: None,
        owner: Some(Arc::new(Owner {
            pid: 900,
            uid: 33,
            comm: comm(b"curl"),
            provenance: Provenance::Exact,
            others: Some([901, 902].into()),
            process: None,
        })),
        origin: Origin::Observed,
        closing: Some(Box::new(closing)),
    };
    let figures = CloseMetrics { bytes_acked: 1_234_567, bytes_received: 78, srtt_us: 412, retransmits: 2 };
    let active = Closing {
        cause: Some(Cause::ActiveClose),
        role: Some(Role::Client),
        life_ns: Some(1_200_115_000),
        states: vec![
            (State::SYN_SENT, 75_000),
            (State::ESTABLISHED, 1_200_000_000),
            (State::FIN_WAIT1, 36_000),
            (State::FIN_WAIT2, 4_000),
        ],
        ..Closing::default()
    };
    let device = |ifindex, name: Option<&str>| Some(Device { ifindex, name: name.map(Into::into) });
    let closed = Event {
        metrics: Some(figures),
        device: device(2, Some("red\x1b[,\"0")),
        ..event(6, 93_100_000_000, State::FIN_WAIT2, State::CLOSE)
    };
    let reset = Closing {
        cause: Some(Cause::ResetUnread),
        reset_reason: Some("tcp_\x1b[2Jabort\"".into()),
        reset_sent: Some(true),
        states: vec![(State::ESTABLISHED, 5_000_000_000)],
        ..Closing::default()
    };
    let killed = Closing { cause: Some(Cause::Killed), role: Some(Role::Server), ..Closing::default() };
    let listener = Closing {
        cause: Some(Cause::StoppedListening),
        role: Some(Role::Listener),
        life_ns: Some(93_000_000_000),
        states: vec![(State::LISTEN, 93_000_000_000)],
        ..Closing::default()
    };
    let inferred = |ktime_ns, old, new, closing| {
        let event = Event { error: None, ..event(6, ktime_ns, old, new) };
        Transition { origin: Origin::Inferred, closing, ..end(event, Closing::default()) }
    };
    vec![
        end(closed, active.clone()),
        inferred(93_100_000_000, State::FIN_WAIT2, State::TIME_WAIT, None),
        end(event(7, 93_200_000_000, State::ESTABLISHED, State::CLOSE), reset),
        end(
            Event {
                error: Some(103),
                device: device(3, None),
                ..event(8, 93_300_000_000, State::ESTABLISHED, State::CLOSE)
            },
            killed,
        ),
        end(event(1, 93_400_000_000, State::LISTEN, State::CLOSE), listener),
        inferred(153_100_000_000, State::TIME_WAIT, State::CLOSE, Some(Box::new(active))),
    ]
}

/// A server's day: it listens, serves a client that goes away, a stranger calls himself something else, another
/// connection is refused, and in the end something is lost.
pub(crate) fn story() -> Vec<Record> {
    let hostile = |event: Event| {
        let mut event = by_process(666, b"", event);
        event.context.comm = comm(b"\x1b[2J,\"\xff\n");
        event
    };
    let v6 = |event: Event| {
        event
            .laddr("2001:db8::1".parse().unwrap())
            .raddr("2001:db8:0:ffff:ffff:ffff:ffff:ffff".parse().unwrap())
    };
    let last = Event {
        metrics: Some(CloseMetrics { bytes_acked: 5_120, bytes_received: 78, srtt_us: 412, retransmits: 2 }),
        ..event(2, 92_000_000_000, State::LAST_ACK, State::CLOSE)
    };
    let refused = Event {
        error: Some(111),
        metrics: Some(CloseMetrics::default()),
        ..event(3, 92_500_000_000, State::SYN_SENT, State::CLOSE)
    };
    let unbound = event(3, 92_400_000_000, State::CLOSE, State::SYN_SENT).lport(0);
    let bare = Event {
        cookie: 0,
        error: None,
        context: tcptrace_core::model::event::Context {
            in_process: None,
            ..event(5, 0, State(0), State(0)).context
        },
        ..event(5, 93_000_000_000, State(13), State(200))
    }
    .netns(None);
    let events = [
        listens(1, 1_500_000, 812),
        event(2, 2_000_000, State::LISTEN, State::SYN_RECV),
        event(2, 2_007_000, State::SYN_RECV, State::ESTABLISHED),
        event(2, 5_217_000, State::ESTABLISHED, State::CLOSE_WAIT),
        by_process(815, b"nginx-worker", event(2, 91_960_000_000, State::CLOSE_WAIT, State::LAST_ACK)),
        last,
        hostile(unbound),
        refused,
        v6(event(4, 92_600_000_000, State::ESTABLISHED, State::FIN_WAIT1)),
        bare,
    ];
    let mut tracker = Tracker::new(Options { limit: 100, ..Options::default() });
    let mut records = Vec::new();
    for event in events {
        tracker.track(&mut Transition::of(event), |transition| {
            records.push(Record::Transition(transition.clone()));
        });
    }
    records.extend(ends().into_iter().map(Record::Transition));
    let lost =
        Lost { ring_full: 40, output: 0, undecodable: 1, missed_runs: 1, others: 3, skipped_inputs: 0 };
    let total = std::num::NonZeroU64::new(45).unwrap();
    records.push(Record::Loss(Loss { ktime_ns: 94_000_000_000, lost, total }));
    records.extend(degraded().into_iter().map(|record| Record::Degraded(Box::new(record))));
    records.extend(clock_changes().map(Record::Clock));
    let mut counters = Counters::ZERO;
    counters.seen[7][10] = 1;
    counters.seen[1][8] = 81;
    (counters.sampled_out, counters.signals_sampled_out) = (31, 2);
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
        second_children: 0,
        connections: None,
        inferred: 2,
        half_open: None,
        reconciled: Reconciled { appeared: 1, vanished: 2, changed: 3 },
        uncounted: Vec::new(),
        snapshot_gaps: None,
    })));
    records
}

/// The host slept, somebody set the clock back, and it drifted.
pub(crate) fn clock_changes() -> impl Iterator<Item = ClockChange> {
    let change = |ktime_ns, after_ns: i64, by_ns: i64, suspended_ns, is_step| ClockChange {
        ktime_ns,
        clock: Clock::with_offset(EPOCH + i128::from(after_ns)),
        by_ns,
        suspended_ns,
        is_step,
    };
    [
        change(94_400_000_000, 3_600_000_000_000, 3_600_000_000_000, 3_599_000_000_000, true),
        change(94_500_000_000, 3_597_500_000_000, -2_500_000_000, 0, true),
        change(94_600_000_000, 3_597_501_000_000, 1_000_000, 0, false),
    ]
    .into_iter()
}

/// A storm that comes and goes.
fn degraded() -> [Degraded; 3] {
    let record = |ktime_ns, level, transitions, total, seen: &[(u8, u8, u64)]| Degraded {
        ktime_ns,
        level: Level(level),
        sampled_out: SampledOut { transitions, signals: 0, half_open: 0 },
        total,
        seen: seen.iter().map(|(old, new, count)| (State(*old), State(*new), *count)).collect(),
    };
    let last = record(94_300_000_000, 0, 11, 33, &[]);
    [
        record(94_100_000_000, 3, 20, 20, &[(1, 8, 9), (7, 2, 12), (200, 1, 2), (2, 1, 9)]),
        record(94_200_000_000, 32, 0, 20, &[(1, 8, 1)]),
        Degraded { sampled_out: SampledOut { signals: 2, ..last.sampled_out }, ..last },
    ]
}

/// The story as a sink writes it.
pub(crate) fn written(style: &Style) -> String {
    write(style, &story())
}

/// Records as a sink writes them, with its header.
pub(crate) fn write(style: &Style, records: &[Record]) -> String {
    let mut sink = sink(style);
    let mut out = Vec::new();
    sink.header(&mut out).unwrap();
    for record in records {
        sink.write(record, &mut out).unwrap();
    }
    String::from_utf8(out).unwrap()
}

/// Every line is JSON as `docs/output.schema.json` has it.
pub(crate) fn assert_in_schema(lines: &str) {
    let schema = include_str!("../../../../docs/output.schema.json");
    let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    for line in lines.lines() {
        let value = serde_json::from_str(line).unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{line}: {errors:?}");
    }
}

/// No format has a raw control byte of a name, and each shows the name all the same, as `escaped`.
pub(crate) fn assert_escaped(escaped: &str, written: impl Fn(Format) -> String) {
    for format in [Format::Text, Format::Wide, Format::Json, Format::Csv] {
        let out = written(format);
        assert!(out.chars().all(|c| c == '\n' || !c.is_control()), "{format:?}: {out}");
        assert!(out.contains(escaped), "{format:?} hides the name: {out}");
    }
}
