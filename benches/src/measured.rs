//! All measurements, in their order.

use std::{path::Path, time::Instant};

use anyhow::Result;

use crate::{
    churn, criterion,
    endurance::{self, Endurance},
    hooks::{self, HookCost},
    idle::{self, Idle},
    measure::{self, Comparison},
    memory::{self, Memory},
    pairs::{self, Ratios},
    plan::Plan,
    replay::{self, Replay},
    startup,
    tool::Tool,
};

/// The results of a whole run.
pub(crate) struct Measured {
    /// The results of the comparison with the peers.
    pub(crate) comparison: Comparison,
    /// Ratios of rates.
    pub(crate) pairs: Ratios,
    pub(crate) hooks: Vec<HookCost>,
    /// Milliseconds from each start to the first event.
    pub(crate) start_ms: Vec<f64>,
    pub(crate) replay: Replay,
    /// Events per second of each of [`STAGES`], for each of criterion's samples; empty if criterion has not measured.
    pub(crate) stages: [Vec<f64>; STAGES.len()],
    pub(crate) memory: Memory,
    pub(crate) endurance: Endurance,
    pub(crate) idle: Idle,
    /// The duration of the whole run in seconds.
    pub(crate) took_s: u64,
}

/// The stages of the benchmark `replay`. Each includes the ones before it.
pub(crate) const STAGES: [&str; 3] = ["decode", "track", "detect"];

impl Measured {
    /// Takes all measurements.
    ///
    /// # Errors
    /// When a tool or a load cannot be run.
    pub(crate) fn measure(
        tracer: &Path,
        tools: &[Tool],
        criterion: Option<&Path>,
        plan: Plan,
    ) -> Result<Self> {
        let start = Instant::now();
        let directory = tempfile::Builder::new().prefix("tcptrace-bench-").tempdir()?;
        let folder = directory.path();
        let threads = churn::threads()?;
        let stages = criterion.map(stages).transpose()?.unwrap_or_default();
        // The idle trace comes first: later, sockets of the load are in TIME_WAIT, and the tracer reads them.
        step("an idle trace");
        let idle = idle::measure(tracer, plan.idle, folder)?;
        step("from the start to the first event");
        let start_ms = startup::measure(tracer, plan.starts)?;
        step("memory of tracked connections");
        let memory = memory::measure(tracer, plan.open, folder)?;
        step("replay of a recorded load");
        let replay = replay::measure(tracer, plan.recorded, threads, plan.replays, folder)?;
        let comparison = measure::run(tools, plan, folder)?;
        let hooks = hooks::measure(tracer, plan, folder)?;
        let pairs = pairs::measure(tracer, plan, folder)?;
        step("full load");
        // A new namespace has no sockets in TIME_WAIT of the measurements before.
        churn::isolate()?;
        let endurance = endurance::measure(tracer, plan.endurance, threads, folder)?;
        let took_s = start.elapsed().as_secs();
        Ok(Self { comparison, pairs, hooks, start_ms, replay, stages, memory, endurance, idle, took_s })
    }
}

fn stages(folder: &Path) -> Result<[Vec<f64>; STAGES.len()]> {
    let mut rates: [Vec<f64>; STAGES.len()] = Default::default();
    for (rate, stage) in rates.iter_mut().zip(STAGES) {
        *rate = criterion::events_per_second(folder, stage)?;
    }
    Ok(rates)
}

fn step(what: &str) {
    eprintln!("measuring: {what}");
}
