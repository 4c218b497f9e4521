//! Criterion's measurements of `benches/replay.rs`.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// `benchmark.json`: the description of a benchmark.
#[derive(Deserialize)]
struct Benchmark {
    throughput: Throughput,
}

#[derive(Deserialize)]
enum Throughput {
    Elements(u64),
}

/// `sample.json`: the number of iterations and the nanoseconds of each sample.
#[derive(Deserialize)]
struct Samples {
    iters: Vec<f64>,
    times: Vec<f64>,
}

/// Events per second of a stage of `replay`, for each sample, from criterion's folder.
///
/// # Errors
/// When the stage was not measured.
pub(crate) fn events_per_second(folder: &Path, stage: &str) -> Result<Vec<f64>> {
    let newest = folder.join("replay").join(stage).join("new");
    let read = |name: &str| {
        let file = newest.join(name);
        fs::read_to_string(&file).with_context(|| file.display().to_string())
    };
    let Benchmark { throughput: Throughput::Elements(events) } =
        serde_json::from_str(&read("benchmark.json")?).context("benchmark.json")?;
    let samples: Samples = serde_json::from_str(&read("sample.json")?).context("sample.json")?;
    #[expect(clippy::cast_precision_loss, reason = "some hundred thousand")]
    let events = events as f64;
    Ok(samples
        .iters
        .iter()
        .zip(&samples.times)
        .map(|(iterations, ns)| events * iterations * 1e9 / ns)
        .collect())
}
