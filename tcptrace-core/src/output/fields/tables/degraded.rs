//! Records that are left out of the stream.

use std::{iter::Map, slice::Iter};

use super::loss::AtLeastOne;
use crate::{
    model::{loss::SampledOut, record::Degraded, state::State},
    output::fields::{
        schema::{Definitions, Schema},
        table::fields,
        value::Value,
        values::{Array, Flat, Head, Mode, Object},
    },
};

/// How much of the stream is left out.
pub(in crate::output) struct Line<'a> {
    /// RFC 3339.
    pub(in crate::output) time: &'a str,
    /// The record.
    pub(in crate::output) degraded: &'a Degraded,
}

fields! { "degraded", impl['a] for Line<'a>, |line|,
    "The stream is not whole, or whole again. There is more than --max-rate, or than the output takes: a share of the sockets is \
     shown, with their whole lives, and the others are only counted. Stands where the share changes, and once a second while \
     something is left out.", {
    "head": Flat<Head<'_, Self>> [csv 0 ""] = Flat(Head::new(line.time, line.degraded.ktime_ns)), "";
    "mode": Mode = Mode(line.degraded.level),
        "From here on: everything is shown; one socket in one_in; nothing.";
    "one_in": Option<OneIn> = line.degraded.level.one_in().map(OneIn),
        "From here on, one socket in so many is shown: a power of two, 1 is all. null: none is.";
    "sampled_out": Object<&'a SampledOut> = Object(&line.degraded.sampled_out),
        "Only counted, since the previous line of this type: transitions, signals (resets, retransmits, errors), records of \
         half-open connections.";
    "lost": u64 [column 0] = line.degraded.sampled_out.total(), "";
    "total": u64 = line.degraded.total, "Only counted since the start, all of it.";
    "matrix": Matrix<'a> = matrix(&line.degraded.seen),
        "All transitions that were seen on the whole host since the previous line of this type, or since something was first \
         left out: exact, whatever is shown. Zero counts are left out.";
} }

fields! { "sampled_out", impl[] for SampledOut, |sampled_out|, "", {
    "transitions": u64 = sampled_out.transitions, "Transitions.";
    "signals": u64 = sampled_out.signals, "Resets, retransmits, errors.";
    "half_open": u64 = sampled_out.half_open, "Records of half-open connections.";
} }

/// The counts of all transitions.
pub(super) type Matrix<'a> =
    Array<Map<Iter<'a, (State, State, u64)>, fn(&'a (State, State, u64)) -> Object<Cell>>>;

/// The counts of these transitions.
pub(super) fn matrix(seen: &[(State, State, u64)]) -> Matrix<'_> {
    Array(seen.iter().map(|(old, new, count)| Object(Cell { old: *old, new: *new, count: *count })))
}

/// The count of a transition.
pub(in crate::output) struct Cell {
    old: State,
    new: State,
    count: u64,
}

fields! { "cell", impl[] for Cell, |cell|, "", {
    "old_state": State = cell.old, "";
    "new_state": State = cell.new, "";
    "count": AtLeastOne = AtLeastOne(cell.count), "Transitions.";
} }

/// A share of the sockets.
pub(in crate::output) struct OneIn(u32);

impl Value for OneIn {
    fn json(&self, out: &mut Vec<u8>) {
        self.0.json(out);
    }

    fn text(&self, out: &mut Vec<u8>) {
        self.0.text(out);
    }

    fn schema(_: &mut Definitions) -> Schema {
        Schema::integer(1, 1 << 31)
    }
}
