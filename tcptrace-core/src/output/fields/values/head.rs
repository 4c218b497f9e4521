//! The head of every record.

use std::marker::PhantomData;

use super::{Flat, Time};
use crate::output::{
    fields::{
        schema::{Definitions, Schema},
        table::{Fields, fields},
        value::{Value, in_quotes},
    },
    schema::SCHEMA,
};

/// The version of the format.
pub(in crate::output) struct Version;

impl Value for Version {
    #[inline(always)]
    fn json(&self, out: &mut Vec<u8>) {
        SCHEMA.json(out);
    }

    fn text(&self, out: &mut Vec<u8>) {
        self.json(out);
    }

    fn schema(_: &mut Definitions) -> Schema {
        Schema::constant(u64::from(SCHEMA))
    }
}

/// The type of a record: the name of its table.
pub(in crate::output) struct Kind<R>(pub(in crate::output) PhantomData<R>);

impl<R: Fields> Value for Kind<R> {
    #[inline(always)]
    fn json(&self, out: &mut Vec<u8>) {
        in_quotes(self, out);
    }

    #[inline(always)]
    fn text(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(R::NAME.as_bytes());
    }

    fn schema(_: &mut Definitions) -> Schema {
        Schema::constant(R::NAME)
    }
}

/// The head of any record.
pub(in crate::output) struct Start<R>(pub(in crate::output) PhantomData<R>);

fields! { "start", impl[R: Fields] for Start<R>, |start|, "", {
    "schema": Version = Version,
        "Version of this format. It rises when a consumer could stumble over a change; new fields do not raise it.";
    "type": Kind<R> [csv 0] = Kind(PhantomData), "";
} }

/// The head of a record that has a time.
pub(in crate::output) struct Head<'a, R> {
    time: &'a str,
    ktime_ns: u64,
    record: PhantomData<R>,
}

impl<'a, R> Head<'a, R> {
    /// `time` is RFC 3339, `ktime_ns` nanoseconds of `CLOCK_MONOTONIC`.
    #[inline(always)]
    pub(in crate::output) fn new(time: &'a str, ktime_ns: u64) -> Self {
        Self { time, ktime_ns, record: PhantomData }
    }
}

fields! { "head", impl['a, R: Fields] for Head<'a, R>, |head|, "", {
    "start": Flat<Start<R>> [csv 0 ""] = Flat(Start(PhantomData)), "";
    "time": Time<'a> [csv 0] = Time(head.time), "";
    "ktime_ns": u64 [csv 0] = head.ktime_ns,
        "The same moment in nanoseconds of CLOCK_MONOTONIC. Order lines by this field.";
} }
