//! The cost of a replay for the whole process: `tcptrace diagnose` of a recorded load, with all detectors.

use std::{ffi::OsString, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::{recording, usage};

/// The results of the measurement.
pub(crate) struct Replay {
    /// Transitions of the capture.
    pub(crate) events: u64,
    /// Events per second of CPU time, for each run.
    pub(crate) per_cpu_second: Vec<f64>,
    /// Events per second of wall-clock time.
    pub(crate) per_second: Vec<f64>,
}

/// The fields of a diagnosis that are relevant here.
#[derive(Deserialize)]
struct Report {
    totals: Totals,
}

#[derive(Deserialize)]
struct Totals {
    transitions: u64,
}

/// Records a load of this many connections on `threads`, and diagnoses the recording `runs` times.
///
/// # Errors
/// When the load cannot be recorded or replayed.
pub(crate) fn measure(
    tracer: &Path,
    connections: u32,
    threads: u8,
    runs: u32,
    folder: &Path,
) -> Result<Replay> {
    let capture = recording::of_churn(tracer, connections / u32::from(threads), threads, folder)?;
    let arguments = ["diagnose", "-o", "json", "--fail-on", "critical", "--from"].map(OsString::from);
    let arguments = [&arguments[..], &[capture.into()]].concat();
    let output = folder.join("report");
    let mut replay = Replay { events: 0, per_cpu_second: Vec::new(), per_second: Vec::new() };
    for _ in 0..runs {
        let used = usage::of(tracer, &arguments, &output)?;
        ensure!(matches!(used.code, Some(0 | 3 | 4)), "the diagnosis ended with {:?}", used.code);
        let report: Report = serde_json::from_str(&fs::read_to_string(&output)?).context("the report")?;
        replay.events = report.totals.transitions;
        #[expect(clippy::cast_precision_loss, reason = "millions")]
        let events = replay.events as f64;
        replay.per_cpu_second.push(events / used.cpu_s);
        replay.per_second.push(events / used.wall_s);
    }
    Ok(replay)
}
