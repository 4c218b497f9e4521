//! What criterion has measured: `benches/replay.rs`.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// `benchmark.json`: what a benchmark is.
#[derive(Deserialize)]
struct Benchmark {
    throughput: Throughput,
}

#[derive(Deserialize)]
enum Throughput {
    Elements(u64),
}

/// `estimates.json`: how long an iteration takes.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    /// Nanoseconds.
    point_estimate: f64,
}

/// Events per second of a stage of `replay`, below criterion's folder.
///
/// # Errors
/// When it was not measured.
pub(crate) fn events_per_second(folder: &Path, stage: &str) -> Result<f64> {
    let newest = folder.join("replay").join(stage).join("new");
    let read = |name: &str| {
        let file = newest.join(name);
        fs::read_to_string(&file).with_context(|| file.display().to_string())
    };
    let Benchmark { throughput: Throughput::Elements(events) } =
        serde_json::from_str(&read("benchmark.json")?).context("benchmark.json")?;
    let estimates: Estimates = serde_json::from_str(&read("estimates.json")?).context("estimates.json")?;
    #[expect(clippy::cast_precision_loss, reason = "some hundred thousand")]
    let events = events as f64;
    Ok(events * 1e9 / estimates.median.point_estimate)
}
