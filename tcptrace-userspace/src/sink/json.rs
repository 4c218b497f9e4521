//! One JSON object a line, by the schema in `docs/output.schema.json`.

use std::io;

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{Sink, findings, json_degraded, json_half_open, json_transition::Transitions};
use crate::{
    clock::{Clock, TimeFormat},
    half_open,
    loss::Lost,
    record::{HalfOpenLoss, Loss, Record, Summary},
    state::State,
    tracker::Reconciled,
    transition::Transition,
};

/// Raised when a consumer could stumble over a change; new fields do not raise it.
pub(super) const SCHEMA: u32 = 1;

pub(super) struct Json {
    time: TimeFormat,
    transitions: Transitions,
}

impl Json {
    pub(super) fn new(clock: Clock) -> Self {
        Self { time: TimeFormat::rfc3339(clock), transitions: Transitions::default() }
    }
}

impl Sink for Json {
    fn header(&mut self, _out: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
        self.transitions.write(out, self.time.format(transition.event.ktime_ns), transition)?;
        out.push(b'\n');
        Ok(())
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        match record {
            Record::Transition(transition) => return self.transition(transition, out),
            Record::HalfOpen(change) => {
                json_half_open::write(out, self.time.format(change.ktime_ns), change)?;
            }
            Record::HalfOpenLoss(loss) => {
                let time = self.time.format(loss.ktime_ns);
                serde_json::to_writer(&mut *out, &half_open_loss_line(time, loss))?;
            }
            Record::Finding(found) => {
                let time = self.time.format(found.ktime_ns);
                serde_json::to_writer(&mut *out, &findings::line(time, found.ktime_ns, &found.finding))?;
            }
            Record::Loss(loss) => {
                serde_json::to_writer(&mut *out, &loss_line(self.time.format(loss.ktime_ns), loss))?;
            }
            Record::Degraded(degraded) => {
                let time = self.time.format(degraded.ktime_ns);
                serde_json::to_writer(&mut *out, &json_degraded::line(time, degraded))?;
            }
            // For detectors.
            Record::Sample(_) | Record::Unsampled(_) => return Ok(()),
            Record::Summary(summary) => {
                serde_json::to_writer(&mut *out, &summary_line(self.time.format(summary.ktime_ns), summary))?;
            }
        }
        out.push(b'\n');
        Ok(())
    }
}

/// A state by its name, or its number.
struct StateName(State);

impl Serialize for StateName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.name() {
            Some(name) => serializer.serialize_str(name),
            None => serializer.collect_str(&self.0),
        }
    }
}

#[derive(Serialize)]
struct LossLine<'a> {
    schema: u32,
    r#type: &'static str,
    time: &'a str,
    ktime_ns: u64,
    lost: Lost,
    total: u64,
}

fn loss_line<'a>(time: &'a str, loss: &Loss) -> LossLine<'a> {
    LossLine {
        schema: SCHEMA,
        r#type: "loss",
        time,
        ktime_ns: loss.ktime_ns,
        lost: loss.lost,
        total: loss.total.get(),
    }
}

#[derive(Serialize)]
struct HalfOpenLossLine<'a> {
    schema: u32,
    r#type: &'static str,
    time: &'a str,
    ktime_ns: u64,
    lost: half_open::Lost,
    total: u64,
}

fn half_open_loss_line<'a>(time: &'a str, loss: &HalfOpenLoss) -> HalfOpenLossLine<'a> {
    let HalfOpenLoss { ktime_ns, lost, total } = *loss;
    HalfOpenLossLine { schema: SCHEMA, r#type: "half_open_loss", time, ktime_ns, lost, total }
}

/// The account of half-open connections, inside of the summary.
#[derive(Serialize)]
struct HalfOpenSummary<'a> {
    followed: Option<half_open::Counts>,
    syns: u64,
    retransmits: u64,
    seen: u64,
    delivered: u64,
    filtered: u64,
    sampled_out: u64,
    lost: half_open::Lost,
    unpolled: Option<&'a str>,
    namespaces: Vec<Netstat<'a>>,
}

struct Netstat<'a>(&'a half_open::NamespaceCounters);

impl Serialize for Netstat<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("netns", &self.0.netns)?;
        for (name, value) in self.0.grown.values() {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

fn half_open_summary(summary: &half_open::Summary) -> HalfOpenSummary<'_> {
    HalfOpenSummary {
        followed: summary.followed,
        syns: summary.counters.syns,
        retransmits: summary.counters.retransmits,
        seen: summary.counters.seen(),
        delivered: summary.delivered,
        filtered: summary.filtered,
        sampled_out: summary.counters.sampled_out,
        lost: summary.lost,
        unpolled: summary.unpolled.as_deref(),
        namespaces: summary.namespaces.iter().map(Netstat).collect(),
    }
}

#[derive(Serialize)]
struct SummaryLine<'a> {
    schema: u32,
    r#type: &'static str,
    time: &'a str,
    ktime_ns: u64,
    elapsed_us: u64,
    seen: u64,
    delivered: u64,
    filtered: u64,
    sampled_out: u64,
    signals_sampled_out: u64,
    lost: Lost,
    missed_runs_known: bool,
    evicted: u64,
    inferred: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<u64>,
    reconciled: Reconciled,
    unlisted: Option<&'a str>,
    other_protocol: u64,
    same_state: u64,
    matrix: Vec<MatrixRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    half_open: Option<HalfOpenSummary<'a>>,
}

/// A cell of the table of transitions.
#[derive(Serialize)]
pub(super) struct MatrixRow {
    old_state: StateName,
    new_state: StateName,
    count: u64,
}

impl MatrixRow {
    pub(super) fn of((old, new, count): (State, State, u64)) -> Self {
        Self { old_state: StateName(old), new_state: StateName(new), count }
    }
}

fn summary_line<'a>(time: &'a str, summary: &'a Summary) -> SummaryLine<'a> {
    SummaryLine {
        schema: SCHEMA,
        r#type: "summary",
        time,
        ktime_ns: summary.ktime_ns,
        elapsed_us: summary.elapsed_ns / 1_000,
        seen: summary.seen(),
        delivered: summary.delivered,
        filtered: summary.filtered,
        sampled_out: summary.counters.sampled_out,
        signals_sampled_out: summary.counters.signals_sampled_out,
        lost: summary.lost,
        missed_runs_known: summary.missed_runs_known,
        evicted: summary.evicted,
        inferred: summary.inferred,
        connections: summary.connections,
        reconciled: summary.reconciled,
        unlisted: summary.unlisted.as_deref(),
        other_protocol: summary.counters.other_protocol,
        same_state: summary.counters.same_state,
        matrix: summary.matrix().map(MatrixRow::of).collect(),
        half_open: summary.half_open.as_ref().map(half_open_summary),
    }
}
