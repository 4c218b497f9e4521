//! What is left out of the stream, as JSON.

use serde::Serialize;

use super::matrix::MatrixRow;
use crate::{
    model::{loss::SampledOut, record::Degraded},
    output::schema::SCHEMA,
};

#[derive(Serialize)]
pub(super) struct Line<'a> {
    schema: u32,
    r#type: &'static str,
    time: &'a str,
    ktime_ns: u64,
    mode: &'static str,
    /// One socket in so many is shown; none where nothing is.
    one_in: Option<u32>,
    sampled_out: SampledOut,
    total: u64,
    matrix: Vec<MatrixRow>,
}

/// The line for it. `time` is RFC 3339.
pub(super) fn line<'a>(time: &'a str, degraded: &Degraded) -> Line<'a> {
    let one_in = degraded.level.one_in();
    Line {
        schema: SCHEMA,
        r#type: "degraded",
        time,
        ktime_ns: degraded.ktime_ns,
        mode: match one_in {
            Some(1) => "full",
            Some(_) => "sampling",
            None => "counting",
        },
        one_in,
        sampled_out: degraded.sampled_out,
        total: degraded.total,
        matrix: degraded.seen.iter().copied().map(MatrixRow::of).collect(),
    }
}
