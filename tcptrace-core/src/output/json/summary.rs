//! The account of the whole trace, as JSON.

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::matrix::MatrixRow;
use crate::{
    model::{
        half_open,
        loss::Lost,
        netstat::NamespaceCounters,
        summary::{Reconciled, Summary},
    },
    output::schema::SCHEMA,
};

/// The account of half-open connections, inside of the summary.
#[derive(Serialize)]
struct HalfOpen<'a> {
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

struct Netstat<'a>(&'a NamespaceCounters);

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

fn half_open(summary: &half_open::Summary) -> HalfOpen<'_> {
    HalfOpen {
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
pub(super) struct Line<'a> {
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
    second_children: u64,
    inferred: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<u64>,
    reconciled: Reconciled,
    snapshot_gaps: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    uncounted: &'a [String],
    other_protocol: u64,
    same_state: u64,
    matrix: Vec<MatrixRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    half_open: Option<HalfOpen<'a>>,
}

pub(super) fn line<'a>(time: &'a str, summary: &'a Summary) -> Line<'a> {
    Line {
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
        second_children: summary.second_children,
        inferred: summary.inferred,
        connections: summary.connections,
        reconciled: summary.reconciled,
        snapshot_gaps: summary.snapshot_gaps.as_deref(),
        uncounted: &summary.uncounted,
        other_protocol: summary.counters.other_protocol,
        same_state: summary.counters.same_state,
        matrix: summary.matrix().map(MatrixRow::of).collect(),
        half_open: summary.half_open.as_ref().map(half_open),
    }
}
