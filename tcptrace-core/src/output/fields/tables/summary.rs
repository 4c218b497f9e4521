//! The account of a trace.

use std::{iter::Map, slice::Iter};

use super::degraded::{Matrix, matrix};
use crate::{
    model::{
        half_open,
        loss::Lost,
        netstat::{NamespaceCounters, Netstat},
        state::State,
        summary::{Reconciled, Summary},
    },
    output::fields::{
        schema::{Definitions, Members, Schema},
        table::fields,
        value::{Absent, Value},
        values::{Array, Flat, Head, Object, Quoted, Strings},
    },
};

/// The account.
pub(in crate::output) struct Line<'a> {
    time: &'a str,
    summary: &'a Summary,
    matrix: Vec<(State, State, u64)>,
}

impl<'a> Line<'a> {
    /// `time` is RFC 3339.
    pub(in crate::output) fn of(time: &'a str, summary: &'a Summary) -> Self {
        Self { time, summary, matrix: summary.matrix().collect() }
    }
}

fields! { "summary", impl['a] for Line<'a>, |line|,
    "The account at the end: the last line of a trace that ended regularly. seen = delivered + filtered + sampled_out + \
     lost.ring_full + lost.output + lost.undecodable.", {
    "head": Flat<Head<'_, Self>> = Flat(Head::new(line.time, line.summary.ktime_ns)), "";
    "elapsed_us": u64 = line.summary.elapsed_ns / 1_000, "Microseconds from attaching to detaching.";
    "seen": u64 = line.summary.seen(),
        "TCP transitions that the kernel side saw, filtered and lost ones included.";
    "delivered": u64 = line.summary.delivered,
        "Handed to the output before this line; with --quiet, counted. Of `life`: read, whether or not a connection ended with \
         it.";
    "filtered": u64 = line.summary.filtered, "Hidden by filters, or beyond --count.";
    "sampled_out": u64 = line.summary.counters.sampled_out,
        "Passed by the filters and only counted, since there was too much; see degraded.";
    "signals_sampled_out": u64 = line.summary.counters.signals_sampled_out,
        "The same of signals (resets, retransmits, errors), which are not in seen.";
    "lost": Object<&'a Lost> = Object(&line.summary.lost), "Lost since the start.";
    "missed_runs_known": bool = line.summary.missed_runs_known,
        "false: this kernel does not report missed runs, and lost.missed_runs means nothing.";
    "evicted": u64 = line.summary.evicted,
        "Sockets forgotten because --max-connections were remembered already. Their later transitions are shown, without a \
         time in the old state and possibly without an owner.";
    "second_children": u64 = line.summary.second_children,
        "Second children of one request, which two CPUs made of two of its packets at once, and of which the kernel threw away \
         the later one: no connections. Their transitions are in seen.";
    "inferred": u64 = line.summary.inferred,
        "Inferred transitions that were printed; not in delivered, which counts what was observed.";
    "connections": Absent<u64> = Absent(line.summary.connections),
        "Connections that were printed; of `life` only.";
    "reconciled": Object<&'a Reconciled> = Object(&line.summary.reconciled),
        "What later dumps of the kernel's sockets have put right.";
    "snapshot_gaps": Option<Quoted<'a>> = line.summary.snapshot_gaps.as_deref().map(Quoted),
        "What could not be seen of pre-existing sockets; null when nothing is missing.";
    "uncounted": Absent<Strings<'a>> =
        Absent((!line.summary.uncounted.is_empty()).then_some(Strings(&line.summary.uncounted))),
        "With --findings: what detectors could not distinguish since their tables were full. Absent when nothing was left out.";
    "other_protocol": u64 = line.summary.counters.other_protocol,
        "Events of sockets that are not TCP (MPTCP parents, for example); not in seen.";
    "same_state": u64 = line.summary.counters.same_state,
        "Events whose old and new state are the same; not in seen.";
    "matrix": Matrix<'_> = matrix(&line.matrix),
        "How often each transition was seen in the whole trace, zero counts left out; the counts add up to seen.";
    "half_open": Absent<Object<&'a half_open::Summary>> = Absent(line.summary.half_open.as_ref().map(Object)),
        "Present with --half-open.";
} }

fields! { "reconciled", impl[] for Reconciled, |reconciled|, "", {
    "appeared": u64 = reconciled.appeared, "Sockets whose beginning was not seen.";
    "vanished": u64 = reconciled.vanished, "Sockets whose end was not seen.";
    "changed": u64 = reconciled.changed, "Sockets that were in another state than the one seen last.";
} }

type Namespaces<'a> =
    Array<Map<Iter<'a, NamespaceCounters>, fn(&'a NamespaceCounters) -> Object<&'a NamespaceCounters>>>;

fields! { "half_open_summary", impl[] for half_open::Summary, |summary|,
    "The account of half-open connections. seen = syns + retransmits = delivered + filtered + sampled_out + lost.", {
    "followed": Option<Object<&half_open::Counts>> = summary.followed.as_ref().map(Object),
        "What became of them: begun = completed + timed_out + dropped + unknown + evicted + open. null with --quiet, which only \
         counts.";
    "syns": u64 = summary.counters.syns, "SYNs queued on the whole host.";
    "retransmits": u64 = summary.counters.retransmits, "SYN-ACKs sent again on the whole host.";
    "seen": u64 = summary.counters.seen(), "Both.";
    "delivered": u64 = summary.delivered, "Of these, written; with --quiet, counted.";
    "filtered": u64 = summary.filtered, "Hidden by filters, or after --count was reached.";
    "sampled_out": u64 = summary.counters.sampled_out,
        "Passed by the filters and only counted; see degraded.";
    "lost": Object<&half_open::Lost> = Object(&summary.lost), "";
    "unpolled": Option<Quoted<'_>> = summary.unpolled.as_deref().map(Quoted),
        "Why the kernel's tables could not be polled completely; null when they were.";
    "namespaces": Namespaces<'_> = Array(summary.namespaces.iter().map(Object)),
        "Counters of `/proc/net/netstat` of each network namespace that could be reached: how much they grew since the start, or \
         since the namespace was first seen. They count SYNs that no event reports.";
} }

fields! { "half_open_counts", impl[] for half_open::Counts, |counts|, "", {
    "begun": u64 = counts.begun, "Those that were there before the trace included.";
    "retransmits": u64 = counts.retransmits, "SYN-ACKs sent again, of those that the filters pass.";
    "completed": u64 = counts.completed, "";
    "timed_out": u64 = counts.timed_out, "";
    "dropped": u64 = counts.dropped, "";
    "unknown": u64 = counts.unknown, "Ended unseen.";
    "evicted": u64 = counts.evicted, "Forgotten because --max-connections were remembered already.";
    "open": u64 = counts.open, "Not ended when the trace did.";
} }

fields! { "namespace_counters", impl[] for NamespaceCounters, |namespace|, "",
    rules r#"{ "additionalProperties": { "type": ["integer", "null"], "minimum": 0 } }"#, {
    "netns": Option<u32> = namespace.netns, "Inode number.";
    "grown": Grown<'_> = Grown(&namespace.grown), "";
} }

/// Counters by the names that `nstat` has for them, as members of the object around them.
pub(in crate::output) struct Grown<'a>(&'a Netstat);

impl Value for Grown<'_> {
    const SPLICED: bool = true;

    fn json(&self, out: &mut Vec<u8>) {
        for (name, value) in self.0.values() {
            out.push(b',');
            Quoted(name).json(out);
            out.push(b':');
            value.json(out);
        }
    }

    fn member(&self, _: &'static str, out: &mut Vec<u8>) {
        self.json(out);
    }

    fn text(&self, _: &mut Vec<u8>) {}

    fn schema(definitions: &mut Definitions) -> Schema {
        Option::<u64>::schema(definitions)
            .about("The counter's growth; null where the kernel does not have it.")
    }

    fn describe(_: &'static str, _: &str, members: &mut Members, definitions: &mut Definitions) {
        for name in Netstat::NAMES {
            members.required(name, Self::schema(definitions));
        }
    }
}
