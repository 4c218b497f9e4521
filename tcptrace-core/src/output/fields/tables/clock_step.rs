//! Steps of the wall clock.

use crate::{
    model::clock_watch::ClockChange,
    output::fields::{
        table::fields,
        values::{Flat, Head},
    },
};

/// A step of the wall clock.
pub(in crate::output) struct Line<'a> {
    /// RFC 3339, by the new clock.
    pub(in crate::output) time: &'a str,
    /// The change.
    pub(in crate::output) change: &'a ClockChange,
}

fields! { "clock_step", impl['a] for Line<'a>, |line|,
    "The wall clock was stepped: somebody set it, or the host slept. The times of this line and of later ones go by the new clock; \
     ktime_ns goes on as before. Noticed within a quarter of a second, in an idle trace within a second.", {
    "head": Flat<Head<'_, Self>> = Flat(Head::new(line.time, line.change.ktime_ns)), "";
    "by_us": i64 = line.change.by_ns / 1_000, "How far the clock moved forward, microseconds; below 0 is back.";
    "suspended_us": u64 = line.change.suspended_ns / 1_000, "For how much of that the host slept, microseconds.";
} }
