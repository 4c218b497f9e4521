//! The comparison of the tools.

use std::fmt::Write as _;

use crate::{
    measure::{Comparison, Costs, LOADS},
    plan::Plan,
    statistics::{median, shown, with_minimum},
    tool::Tool,
};

/// Nanoseconds of the empty program: the cost of the hook and of the kernel's statistics.
pub(super) fn floor_ns(tools: &[Tool], comparison: &Comparison) -> f64 {
    let floor = tools.iter().position(|tool| tool.floor);
    floor.and_then(|index| median(&comparison.costs[index].kernel_ns)).unwrap_or(0.0)
}

/// The measurements of the tool with this name.
pub(super) fn costs<'a>(tools: &[Tool], comparison: &'a Comparison, name: &str) -> Option<&'a Costs> {
    tools.iter().position(|tool| tool.name == name).map(|index| &comparison.costs[index])
}

pub(super) fn render(tools: &[Tool], comparison: &Comparison, plan: Plan, text: &mut String) {
    let Plan { rounds, slices, connections, kernel_connections, .. } = plan;
    let _ = writeln!(
        text,
        "The tools beside each other: {rounds} rounds of {slices} slices, of {connections} connections a load and thread, \
         and of {kernel_connections} for the kernel's time. Figures are the median and, in brackets, the minimum of the slices. \
         Rates are of connections, relative to the rate with nothing running.\n",
    );
    text.push_str(
        "| | kernel ns per transition | above empty | rate, client and server | rate, one thread | rate, all cores | \
         CPU time of the process, us per transition | resident MiB |\n|---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let floor = floor_ns(tools, comparison);
    for (tool, costs) in tools.iter().zip(&comparison.costs) {
        let above = median(&costs.kernel_ns).map(|ns| ns - floor).filter(|_| !tool.floor);
        let ratio = |load: usize| with_minimum(&costs.ratios[load], 2);
        let resident_mib: Vec<f64> = costs.resident_kib.iter().map(|kib| kib / 1024.0).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            tool.name,
            with_minimum(&costs.kernel_ns, 0),
            shown(above, 0),
            ratio(0),
            ratio(1),
            ratio(2),
            with_minimum(&costs.cpu_us, 2),
            with_minimum(&resident_mib, 1),
        );
    }
    let bare: [String; LOADS] = std::array::from_fn(|load| {
        let rates: Vec<f64> = comparison.bare.iter().map(|slice| slice[load]).collect();
        with_minimum(&rates, 0)
    });
    let _ = writeln!(
        text,
        "\nWith nothing running: {} connections/s between client and server, {} from one thread, {} from all cores. \
         Resident memory includes the ring's {} MiB.",
        bare[0],
        bare[1],
        bare[2],
        tcptrace::bpf::default_buffer() >> 20,
    );
}
