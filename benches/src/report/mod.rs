//! The results, for the terminal and for the document.

mod comparison;
mod document;
mod held_to;
mod hooks;

use std::{fmt::Write as _, fs};

pub(crate) use document::write;

use crate::{figures, measured::Measured, plan::Plan, tool::Tool};

/// Markdown: the machine, the figures with their targets, and the measurements behind them.
pub(crate) fn render(tools: &[Tool], measured: &Measured, plan: Plan) -> String {
    let mut text = format!("{} Measured in {} s.\n\n", machine(), measured.took_s);
    text.push_str(&figures::table(&held_to::figures(tools, measured, plan)));
    text.push('\n');
    comparison::render(tools, &measured.comparison, plan, &mut text);
    text.push('\n');
    hooks::render(&measured.hooks, comparison::floor_ns(tools, &measured.comparison), &mut text);
    for (tool, costs) in tools.iter().zip(&measured.comparison.costs) {
        if tool.ours && costs.failures > 0 {
            let _ =
                writeln!(text, "\n{} lost transitions or failed in {} slices.", tool.name, costs.failures);
        }
    }
    text
}

/// The kernel, the processor and the number of cores.
pub(crate) fn machine() -> String {
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
