//! The rate of connections with tracing and without, by turns: what a host notices of it.

use std::path::Path;

use anyhow::Result;

use crate::{
    churn::{self, Load},
    plan::Plan,
    tool::Tool,
};

/// What the rates are compared with, options of the tracer: its defaults, and everything that it can hook.
pub(crate) const SETTINGS: [&[&str]; 2] = [&[], &["--half-open"]];

/// Measures, for each of [`SETTINGS`], as many ratios as the plan has pairs: the rate of connections between a client and a
/// server under it, divided by the mean of the rates without anything just before and just after.
///
/// # Errors
/// When a tool or the load cannot be run.
pub(crate) fn measure(tracer: &Path, plan: Plan, folder: &Path) -> Result<Vec<Vec<f64>>> {
    let Plan { pairs, pair_connections: connections, .. } = plan;
    let tools = SETTINGS.map(|arguments| Tool::ours(tracer, arguments));
    let output = folder.join("output");
    let rate = || -> Result<f64> {
        Ok(f64::from(connections) / churn::run(connections, Load::Exchange)?.as_secs_f64())
    };
    let mut ratios = vec![Vec::new(); tools.len()];
    let mut before = rate()?;
    for pair in 1..=pairs {
        if pair % 10 == 1 {
            eprintln!("pair {pair} of {pairs}");
        }
        for (tool, ratios) in tools.iter().zip(&mut ratios) {
            let running = tool.start(&output)?;
            let with = rate()?;
            running.stop()?;
            let after = rate()?;
            ratios.push(with * 2.0 / (before + after));
            before = after;
        }
    }
    Ok(ratios)
}
