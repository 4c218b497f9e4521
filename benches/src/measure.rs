//! The rounds: every tool under every load.

use std::{path::Path, thread, time::Duration};

use anyhow::Result;

use crate::{
    churn::{self, Cores, Load},
    plan::Plan,
    proc::{self, Programs},
    tool::{Running, Tool},
};

/// The figures of one tool, one entry for each slice.
#[derive(Default)]
pub(crate) struct Costs {
    /// Nanoseconds in the tool's programs for each transition.
    pub(crate) kernel_ns: Vec<f64>,
    /// For each rate of [`Slice`], the rate with the tool divided by the mean of the slices before and after: the speed
    /// of a machine varies by more than a tool costs.
    pub(crate) ratios: [Vec<f64>; LOADS],
    /// Microseconds of CPU time for each transition.
    pub(crate) cpu_us: Vec<f64>,
    /// Resident memory after the load, KiB.
    pub(crate) resident_kib: Vec<f64>,
    /// Runs with an exit code other than 0.
    pub(crate) failures: u32,
}

/// The results of the rounds.
pub(crate) struct Comparison {
    /// The costs in the order of the tools.
    pub(crate) costs: Vec<Costs>,
    /// The slices without a tool.
    pub(crate) bare: Vec<Slice>,
}

/// The number of loads in a slice.
pub(crate) const LOADS: usize = 3;

/// Connections per second in a slice of time: client and server, one thread as both, all cores as both.
pub(crate) type Slice = [f64; LOADS];

/// Transitions of a connection whose both ends are on this host.
pub(crate) const TRANSITIONS: u32 = 10;

/// Measures all tools in `plan.rounds` rounds.
pub(crate) fn run(tools: &[Tool], plan: Plan, folder: &Path) -> Result<Comparison> {
    let output = folder.join("output");
    let mut costs: Vec<Costs> = tools.iter().map(|_| Costs::default()).collect();
    let mut before = slice(plan)?;
    let mut bare = Vec::new();
    for round in 1..=plan.rounds {
        for (tool, costs) in tools.iter().zip(&mut costs) {
            eprintln!("round {round} of {}: {}", plan.rounds, tool.name);
            for _ in 0..plan.slices {
                let with = user_space(tool, costs, plan, &output)?;
                let after = slice(plan)?;
                for (load, ratios) in costs.ratios.iter_mut().enumerate() {
                    ratios.push(with[load] * 2.0 / (before[load] + after[load]));
                }
                bare.push(after);
                before = after;
            }
            kernel_time(tool, costs, plan, &output)?;
        }
    }
    Ok(Comparison { costs, bare })
}

/// Runs every load once, after a warm-up.
fn slice(plan: Plan) -> Result<Slice> {
    churn::warm_up(Cores::All)?;
    let rate = |load, connections: u32| -> Result<f64> {
        Ok(f64::from(connections) / churn::run(plan.connections, load)?.as_secs_f64())
    };
    let threads = churn::threads()?;
    Ok([
        rate(Load::Exchange(Cores::All), plan.connections)?,
        rate(Load::Churn { threads: 1 }, plan.connections)?,
        rate(Load::Churn { threads }, plan.connections * u32::from(threads))?,
    ])
}

/// Measures connection rates, user space and memory, without the kernel's statistics, which have a cost too.
fn user_space(tool: &Tool, costs: &mut Costs, plan: Plan, output: &Path) -> Result<Slice> {
    let running = tool.start(output)?;
    if !running.is_process() {
        return slice(plan);
    }
    let connections = churn::WARM_UP + plan.connections * (2 + u32::from(churn::threads()?));
    let (cpu_us, slice) = cpu_us(&running, connections * TRANSITIONS, || slice(plan))?;
    costs.cpu_us.push(cpu_us);
    #[expect(clippy::cast_precision_loss, reason = "kibibytes of one process")]
    costs.resident_kib.push(proc::resident_kib(running.pid())? as f64);
    costs.failures += u32::from(running.stop()?.is_some_and(|code| code != 0));
    Ok(slice)
}

/// Microseconds of CPU time, user and system, of a tool for each transition of a load; and the result of the load.
///
/// # Errors
/// When the load fails, or the tool has ended.
pub(crate) fn cpu_us<T>(
    running: &Running,
    transitions: u32,
    load: impl FnOnce() -> Result<T>,
) -> Result<(f64, T)> {
    let before = proc::cpu_time(running.pid())?;
    let outcome = load()?;
    // The work for records that are still buffered belongs to the load.
    thread::sleep(Duration::from_millis(200));
    let used = proc::cpu_time(running.pid())?.saturating_sub(before);
    Ok((used.as_secs_f64() * 1e6 / f64::from(transitions), outcome))
}

fn kernel_time(tool: &Tool, costs: &mut Costs, plan: Plan, output: &Path) -> Result<()> {
    let running = tool.start(output)?;
    if !running.is_process() && !tool.floor {
        return Ok(());
    }
    for _ in 0..plan.slices {
        costs.kernel_ns.push(kernel_ns(&running, plan.kernel_connections)?);
    }
    running.stop()?;
    Ok(())
}

/// Nanoseconds in all programs of a tool for each transition of this many connections. The time includes everything
/// that interrupts a program: an interrupt, or the host of a virtual machine.
///
/// # Errors
/// When the load or the kernel's statistics fail.
pub(crate) fn kernel_ns(running: &Running, connections: u32) -> Result<f64> {
    let statistics = proc::Statistics::on()?;
    let before = proc::programs(running.pid())?;
    churn::run(connections, Load::Churn { threads: 1 })?;
    let after = proc::programs(running.pid())?;
    drop(statistics);
    Ok(per_transition(&before, &after))
}

/// This tool's programs on the hook. Each other tool has only one program.
const ON_HOOK: [&str; 2] = ["set_state_btf", "set_state_tp"];

/// Nanoseconds for each transition of the host. Transitions outside the load run the programs, too.
fn per_transition(before: &Programs, after: &Programs) -> f64 {
    let names = proc::program_names();
    let is_on_hook = |id: &u32| names.get(id).is_some_and(|name| ON_HOOK.contains(&name.as_str()));
    let all = proc::spent(before, after, |_| true);
    let transitions = match proc::spent(before, after, is_on_hook).runs {
        0 => all.runs,
        runs => runs,
    };
    all.ns_per(transitions)
}
