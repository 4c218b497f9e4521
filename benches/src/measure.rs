//! The rounds: every tool under every load.

use std::{collections::BTreeMap, path::PathBuf, thread, time::Duration};

use anyhow::Result;

use crate::{churn, proc, tool::Tool};

/// How much of it.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) connections: u32,
    pub(crate) rounds: u32,
}

/// The figures of one tool, one entry a round.
#[derive(Default)]
pub(crate) struct Costs {
    /// Nanoseconds in the kernel for a run of its programs.
    pub(crate) kernel_ns: Vec<f64>,
    /// Connections per second, one thread making them.
    pub(crate) rate_one: Vec<f64>,
    /// Connections per second, all cores making them.
    pub(crate) rate_all: Vec<f64>,
    /// Microseconds of CPU in user space for a transition.
    pub(crate) cpu_us: Vec<f64>,
    /// Resident memory after the load, KiB.
    pub(crate) resident_kib: Vec<f64>,
    /// Runs that ended with an exit code that is not 0.
    pub(crate) failures: u32,
}

/// Transitions of a connection whose both ends are on this host.
const TRANSITIONS: f64 = 10.0;

/// Measures all tools in `plan.rounds` rounds.
pub(crate) fn run(tools: &[Tool], plan: Plan) -> Result<Vec<Costs>> {
    let folder = tempdir()?;
    let output = folder.join("output");
    let cores = u8::try_from(thread::available_parallelism()?.get().min(64))?;
    // Caches and frequencies settle; nothing of it counts.
    churn::run(plan.connections, 1)?;
    let mut costs: Vec<Costs> = tools.iter().map(|_| Costs::default()).collect();
    for round in 1..=plan.rounds {
        for (tool, costs) in tools.iter().zip(&mut costs) {
            eprintln!("round {round} of {}: {}", plan.rounds, tool.name);
            rates(tool, costs, plan, cores, &output)?;
            kernel_time(tool, costs, plan, &output)?;
        }
    }
    std::fs::remove_dir_all(folder)?;
    Ok(costs)
}

/// Connection rates, user space and memory: without the kernel's statistics, which cost as well.
fn rates(tool: &Tool, costs: &mut Costs, plan: Plan, cores: u8, output: &std::path::Path) -> Result<()> {
    let running = tool.start(output)?;
    let pid = running.pid();
    let before = proc::cpu_time(pid)?;
    let one = churn::run(plan.connections, 1)?;
    costs.rate_one.push(f64::from(plan.connections) / one.as_secs_f64());
    let all = churn::run(plan.connections / u32::from(cores), cores)?;
    costs.rate_all.push(f64::from(plan.connections) / all.as_secs_f64());
    if running.is_process() {
        // What is still in its buffers belongs to it.
        thread::sleep(Duration::from_millis(200));
        let used = proc::cpu_time(pid)?.saturating_sub(before);
        let transitions = f64::from(plan.connections) * TRANSITIONS * 2.0;
        costs.cpu_us.push(used.as_secs_f64() * 1e6 / transitions);
        #[expect(clippy::cast_precision_loss, reason = "kibibytes of one process")]
        costs.resident_kib.push(proc::resident_kib(pid)? as f64);
    }
    costs.failures += u32::from(running.stop()?.is_some_and(|code| code != 0));
    Ok(())
}

/// How many times the kernel's statistics are read in a round.
const SLICES: u32 = 10;

/// Time in the kernel per run of the tool's programs: the best of a round's slices, since whatever interrupts a
/// program, an interrupt or the machine below a virtual one, is counted as its own time.
fn kernel_time(tool: &Tool, costs: &mut Costs, plan: Plan, output: &std::path::Path) -> Result<()> {
    let running = tool.start(output)?;
    if !running.is_process() && !tool.floor {
        return Ok(());
    }
    let mut best = f64::INFINITY;
    for _ in 0..SLICES {
        let statistics = proc::Statistics::on()?;
        let before = proc::programs(running.pid())?;
        churn::run(plan.connections / SLICES, 1)?;
        let after = proc::programs(running.pid())?;
        drop(statistics);
        best = best.min(per_run(&before, &after));
    }
    costs.kernel_ns.push(best);
    running.stop()?;
    Ok(())
}

/// Nanoseconds per run between two readings of programs' runs and times.
fn per_run(before: &BTreeMap<u32, (u64, u64)>, after: &BTreeMap<u32, (u64, u64)>) -> f64 {
    let (mut runs, mut time) = (0, 0);
    for (id, (after_runs, after_time)) in after {
        let (before_runs, before_time) = before.get(id).copied().unwrap_or_default();
        runs += after_runs - before_runs;
        time += after_time - before_time;
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds in nanoseconds, and three digits are shown")]
    let per_run = time as f64 / runs.max(1) as f64;
    per_run
}

/// A folder for the outputs, on the same disk for all.
fn tempdir() -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("tcptrace-bench-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    Ok(folder)
}

/// The median; `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}
