//! The table, for the terminal and for the document.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};

use crate::{
    measure::{Measured, Plan, SLICES},
    tool::Tool,
};

const BEGIN: &str = "<!-- bench:begin -->\n";
const END: &str = "<!-- bench:end -->";

/// Markdown: the machine, the table, what it says.
pub(crate) fn render(tools: &[Tool], measured: &Measured, start_ms: &[f64], plan: Plan) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}\n", machine());
    let _ = writeln!(
        text,
        "{} rounds of {SLICES} slices of {} connections a load and thread; medians, and in brackets the middle half of the \
         slices. Rates are of connections, relative to the rate with nothing running.\n",
        plan.rounds, plan.connections
    );
    text.push_str(
        "| | kernel ns per transition | above empty | rate, client and server | rate, one thread | rate, all cores | \
         user-space CPU us per transition | resident MiB |\n|---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let floor = tools
        .iter()
        .position(|tool| tool.floor)
        .and_then(|index| median(&measured.costs[index].kernel_ns))
        .unwrap_or(0.0);
    for (tool, costs) in tools.iter().zip(&measured.costs) {
        let kernel = median(&costs.kernel_ns);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            tool.name,
            shown(kernel, 0),
            shown(kernel.map(|ns| ns - floor).filter(|_| !tool.floor), 0),
            ratio(&costs.ratios[0]),
            ratio(&costs.ratios[1]),
            ratio(&costs.ratios[2]),
            shown(median(&costs.cpu_us), 2),
            shown(median(&costs.resident_kib).map(|kib| kib / 1024.0), 1),
        );
    }
    let bare = |load: usize| {
        let rates: Vec<f64> = measured.bare.iter().map(|slice| slice[load]).collect();
        shown(median(&rates), 0)
    };
    let _ = writeln!(
        text,
        "\nWith nothing running: {} connections/s between client and server, {} from one thread, {} from all cores.",
        bare(0),
        bare(1),
        bare(2)
    );
    let _ = writeln!(
        text,
        "From the start of tcptrace to its first printed transition: {} ms (resident memory includes what was \
         touched of the ring's {} MiB, which is mapped twice).",
        shown(median(start_ms), 0),
        tcptrace::bpf::DEFAULT_BUFFER >> 20,
    );
    for (tool, costs) in
        tools.iter().zip(&measured.costs).filter(|(tool, costs)| tool.ours && costs.failures > 0)
    {
        let _ = writeln!(text, "{} lost transitions or failed in {} slices.", tool.name, costs.failures);
    }
    text
}

/// The value a quarter, half or three quarters up the sorted ones; `None` of nothing.
fn quartile(values: &[f64], quarter: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((sorted.len() * quarter / 4).min(sorted.len().saturating_sub(1))).copied()
}

pub(crate) fn median(values: &[f64]) -> Option<f64> {
    quartile(values, 2)
}

/// How a rate compares, and how far the slices agree.
fn ratio(values: &[f64]) -> String {
    let [low, middle, high] = [1, 2, 3].map(|quarter| shown(quartile(values, quarter), 2));
    format!("{middle} ({low} - {high})")
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
