//! The table, for the terminal and for the document.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};

use crate::{
    measure::{Costs, Plan, median},
    tool::Tool,
};

const BEGIN: &str = "<!-- bench:begin -->\n";
const END: &str = "<!-- bench:end -->";

/// Markdown: the machine, the table, what it says.
pub(crate) fn render(tools: &[Tool], costs: &[Costs], start_ms: &[f64], plan: Plan) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}\n", machine());
    let _ = writeln!(
        text,
        "{} connections a run, {} rounds, medians. Rates are relative to the rate with nothing running.\n",
        plan.connections, plan.rounds
    );
    text.push_str(
        "| | kernel ns per transition | above empty | connection rate, one thread | connection rate, all cores | \
         user-space CPU us per transition | resident MiB |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    let base = costs.first();
    let floor = tools
        .iter()
        .position(|tool| tool.floor)
        .and_then(|index| median(&costs[index].kernel_ns))
        .unwrap_or(0.0);
    for (tool, cost) in tools.iter().zip(costs) {
        let kernel = median(&cost.kernel_ns);
        let ratio = |rates: fn(&Costs) -> &Vec<f64>| {
            let base = base.and_then(|base| median(rates(base)))?;
            median(rates(cost)).map(|rate| rate / base)
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            tool.name,
            shown(kernel, 0),
            shown(kernel.map(|ns| ns - floor).filter(|_| !tool.floor), 0),
            shown(ratio(|costs| &costs.rate_one), 2),
            shown(ratio(|costs| &costs.rate_all), 2),
            shown(median(&cost.cpu_us), 2),
            shown(median(&cost.resident_kib).map(|kib| kib / 1024.0), 1),
        );
    }
    if let Some(base) = base {
        let _ = writeln!(
            text,
            "\nWith nothing running: {} connections/s from one thread, {} from all cores.",
            shown(median(&base.rate_one), 0),
            shown(median(&base.rate_all), 0)
        );
    }
    let _ = writeln!(
        text,
        "From the start of tcptrace to its first printed transition: {} ms (resident memory includes what was \
         touched of the ring's {} MiB, which is mapped twice).",
        shown(median(start_ms), 0),
        tcptrace::bpf::DEFAULT_BUFFER >> 20,
    );
    for (tool, cost) in tools.iter().zip(costs).filter(|(tool, cost)| tool.ours && cost.failures > 0) {
        let _ = writeln!(text, "{} lost transitions or failed in {} rounds.", tool.name, cost.failures);
    }
    text
}

fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// Kernel, processor, cores.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let release = read("/proc/sys/kernel/osrelease");
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let virtual_machine = if cpuinfo.contains(" hypervisor ") { ", a virtual machine" } else { "" };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("Linux {}, {cores} cores of {model}{virtual_machine}.", release.trim())
}

/// Replaces what is between the markers of `file`.
pub(crate) fn write(file: &Path, table: &str) -> Result<()> {
    let text = fs::read_to_string(file)?;
    let (before, rest) = text.split_once(BEGIN).context("the marker bench:begin is missing")?;
    let (_, after) = rest.split_once(END).context("the marker bench:end is missing")?;
    fs::write(file, format!("{before}{BEGIN}{table}{END}{after}"))?;
    Ok(())
}
