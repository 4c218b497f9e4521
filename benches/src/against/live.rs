//! The cost of both tools while they trace, and while they dump sockets.

use std::{ffi::OsString, path::Path, thread, time::Duration};

use anyhow::{Result, ensure};

use super::{Plan, WATCH_TARGET, figure, memory_figure, turns::Turns};
use crate::{
    churn::{self, Load},
    held, measure, startup,
    tool::{Running, Tool},
    usage::{self, Usage},
};

/// One thread. The tool that reads has another core, so that it keeps up.
const LOAD: Load = Load::Churn { threads: 1 };

/// Milliseconds from the start to the first event.
pub(super) fn start(turns: &mut Turns, plan: Plan) {
    let start = figure("start to first event", "ms", 1);
    turns.measure([start], plan.pairs, |tool| Ok([startup::with_events(|| startup::first_event(tool))?]));
}

/// Runs a tool with its output in a file. A new network namespace keeps it apart from the sockets in TIME_WAIT of other
/// turns.
fn run(tool: &Path, arguments: &[&str], folder: &Path) -> Result<Running> {
    churn::isolate()?;
    Tool::ours(tool, arguments).start(&folder.join("output"))
}

/// Time in the kernel for each transition.
pub(super) fn kernel(turns: &mut Turns, plan: Plan, folder: &Path) {
    let kernel = figure("kernel time per transition", "ns", 1);
    turns.measure([kernel], plan.pairs, |tool| {
        let running = run(tool, &[], folder)?;
        let ns = measure::kernel_ns(&running, plan.connections)?;
        without_loss(running.stop()?)?;
        Ok([ns])
    });
}

/// CPU time of the process for each transition, by the format of the output.
pub(super) fn user_space(turns: &mut Turns, plan: Plan, folder: &Path) {
    for format in ["text", "json", "csv"] {
        let name = format!("CPU time of the process per transition, {format} to a file");
        turns.measure([figure(&name, "us", 3)], plan.pairs, |tool| {
            let running = run(tool, &["-o", format], folder)?;
            let transitions = plan.connections * measure::TRANSITIONS;
            let (us, _) = measure::cpu_us(&running, transitions, || churn::run(plan.connections, LOAD))?;
            without_loss(running.stop()?)?;
            Ok([us])
        });
    }
}

/// Checks that the trace lost nothing: a trace that only counted some transitions has done less work.
fn without_loss(code: Option<i32>) -> Result<()> {
    ensure!(code == Some(0), "the trace ended with {code:?}; 4 says that transitions were lost");
    Ok(())
}

/// Measures the cost of a host with very many sockets: of a dump, and of a trace.
///
/// # Errors
/// When the sockets cannot be made.
pub(super) fn many_sockets(turns: &mut Turns, plan: Plan, folder: &Path) -> Result<()> {
    churn::isolate()?;
    let _held = held::start(plan.held)?;
    let sockets = 2 * plan.held;
    let output = folder.join("output");
    let name = format!("`sockets` at {sockets} sockets");
    let figures = [figure(&format!("{name}: time"), "ms", 1), memory_figure(&name, 1.02)];
    turns.measure(figures, plan.pairs, |tool| {
        let used = usage::of(tool, &["sockets".into()], &output)?;
        ensure!(matches!(used.code, Some(0 | 4)), "`sockets` ended with {:?}", used.code);
        Ok([used.wall_s * 1e3, mib(used)])
    });
    for arguments in [&["diagnose"][..], &["trace", "--findings"]] {
        let name = format!("`{}` for {} s at {sockets} sockets", arguments.join(" "), plan.watch.as_secs());
        let mut cpu = figure(&format!("{name}: CPU"), "s", 3);
        cpu.target = WATCH_TARGET;
        turns.measure([cpu, memory_figure(&name, WATCH_TARGET)], plan.pairs, |tool| {
            let used = watch(tool, arguments, plan, &output)?;
            Ok([used.cpu_s, mib(used)])
        });
    }
    Ok(())
}

/// The time from the start of the tool to the load. The tool has attached and dumped the sockets by then.
const ATTACHING: Duration = Duration::from_secs(1);

/// Runs a command for as long as the plan says, while connections come and go.
fn watch(tool: &Path, arguments: &[&str], plan: Plan, output: &Path) -> Result<Usage> {
    let mut arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    arguments.extend(["--duration".into(), format!("{}s", plan.watch.as_secs()).into()]);
    // The connections that are held open stay in their own namespace.
    churn::isolate()?;
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            thread::sleep(ATTACHING);
            churn::run(plan.watched, LOAD)
        });
        let used = usage::of(tool, &arguments, output);
        let has_seen_all = load.is_finished();
        load.join().expect("the load does not panic")?;
        let used = used?;
        ensure!(matches!(used.code, Some(0 | 3 | 4)), "{arguments:?} ended with {:?}", used.code);
        ensure!(has_seen_all, "the load took longer than {:?}", plan.watch);
        Ok(used)
    })
}

/// The peak of resident memory in MiB.
#[expect(clippy::cast_precision_loss, reason = "kibibytes of one process")]
pub(super) fn mib(used: Usage) -> f64 {
    used.peak_kib as f64 / 1024.0
}
