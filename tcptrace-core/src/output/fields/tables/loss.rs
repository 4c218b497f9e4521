//! Losses.

use crate::{
    model::{
        half_open,
        loss::Lost,
        record::{HalfOpenLoss, Loss},
    },
    output::fields::{
        schema::{Definitions, Schema},
        table::fields,
        value::{Absent, Value},
        values::{Flat, Head, Object},
    },
};

fields! { "lost", impl[] for Lost, |lost|, "Lost transitions by cause.", {
    "ring_full": u64 = lost.ring_full,
        "The ring buffer was full: the tracer, or the output behind it, was too slow.";
    "output": u64 = lost.output,
        "Read off the ring or still in it, but not written when the trace had to end. Always 0 in a loss line.";
    "undecodable": u64 = lost.undecodable, "Records that this version does not understand.";
    "missed_runs": u64 = lost.missed_runs,
        "Runs of the eBPF program that the kernel skipped. These transitions are not in `seen`.";
    "others": u64 = lost.others,
        "Resets that found the ring buffer full: a reset_reason may be missing. No transitions, so not in `seen`.";
    "skipped_inputs": Absent<u64> = Absent((lost.skipped_inputs > 0).then_some(lost.skipped_inputs)),
        "Inputs of a capture that a newer tcptrace recorded and this version does not know. Each may be anything. Absent when \
         0.";
} }

fields! { "half_open_lost", impl[] for half_open::Lost, |lost|,
    "Lost records of half-open connections by cause, as `lost`.", {
    "ring_full": u64 = lost.ring_full, "";
    "output": u64 = lost.output, "";
    "undecodable": u64 = lost.undecodable, "";
    "missed_runs": u64 = lost.missed_runs,
        "SYN-ACKs sent again that the kernel skipped the program for; not in seen.";
} }

/// Lost transitions.
pub(in crate::output) struct Line<'a> {
    /// RFC 3339.
    pub(in crate::output) time: &'a str,
    /// The loss.
    pub(in crate::output) loss: &'a Loss,
}

fields! { "loss", impl['a] for Line<'a>, |line|,
    "Transitions were lost. Stands in the stream about where the loss was noticed, at most a quarter of a second after it \
     happened.", {
    "head": Flat<Head<'_, Self>> [csv 0 ""] = Flat(Head::new(line.time, line.loss.ktime_ns)), "";
    "lost": Object<&'a Lost> = Object(&line.loss.lost), "Lost since the previous loss line.";
    "lost": u64 [column 0] = line.loss.lost.total(), "";
    "total": AtLeastOne = AtLeastOne(line.loss.total.get()), "Lost since the start, all causes.";
} }

/// Lost records of half-open connections.
pub(in crate::output) struct HalfOpenLine<'a> {
    /// RFC 3339.
    pub(in crate::output) time: &'a str,
    /// The loss.
    pub(in crate::output) loss: &'a HalfOpenLoss,
}

fields! { "half_open_loss", impl['a] for HalfOpenLine<'a>, |line|,
    "Records of half-open connections were lost.", {
    "head": Flat<Head<'_, Self>> [csv 0 ""] = Flat(Head::new(line.time, line.loss.ktime_ns)), "";
    "lost": Object<&'a half_open::Lost> = Object(&line.loss.lost), "Lost since the previous line of this type.";
    "lost": u64 [column 0] = line.loss.lost.total(), "";
    "total": u64 = line.loss.total, "Lost since the start, all causes.";
} }

/// A number that is not 0.
pub(in crate::output) struct AtLeastOne(pub(in crate::output) u64);

impl Value for AtLeastOne {
    fn json(&self, out: &mut Vec<u8>) {
        self.0.json(out);
    }

    fn text(&self, out: &mut Vec<u8>) {
        self.0.text(out);
    }

    fn schema(_: &mut Definitions) -> Schema {
        Schema::integer(1, u64::MAX)
    }
}
