//! Steps of the wall clock, as JSON.

use serde::Serialize;

use crate::{model::clock_watch::ClockChange, output::schema::SCHEMA};

#[derive(Serialize)]
pub(super) struct Line<'a> {
    schema: u32,
    r#type: &'static str,
    time: &'a str,
    ktime_ns: u64,
    by_us: i64,
    suspended_us: u64,
}

/// The line for it. `time` is RFC 3339, by the clock as it is from now on.
pub(super) fn line<'a>(time: &'a str, change: &ClockChange) -> Line<'a> {
    Line {
        schema: SCHEMA,
        r#type: "clock_step",
        time,
        ktime_ns: change.ktime_ns,
        by_us: change.by_ns / 1_000,
        suspended_us: change.suspended_ns / 1_000,
    }
}
