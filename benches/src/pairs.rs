//! The rate of connections with and without tracing, by turns: the effect of tracing on a host.

use std::path::Path;

use anyhow::Result;

use crate::{
    churn::{self, Cores, Load},
    plan::Plan,
    tool::Tool,
};

/// Options of the tracer for each ratio: its defaults, all hooks, and the defaults with a core that client and server
/// do not use.
const SETTINGS: [(&[&str], Cores); 3] =
    [(&[], Cores::All), (&["--half-open"], Cores::All), (&[], Cores::First)];

/// Rates with tracing, divided by the mean of the rates without it just before and after.
pub(crate) struct Ratios {
    /// Ratios with the defaults.
    pub(crate) defaults: Vec<f64>,
    /// Ratios with all hooks.
    pub(crate) everything: Vec<f64>,
    /// Ratios with the defaults and a core for the tracer.
    pub(crate) with_a_core: Vec<f64>,
}

/// Measures as many ratios of each kind as the plan has pairs, by turns, with connections between a client and a
/// server.
///
/// # Errors
/// When a tool or the load cannot be run.
pub(crate) fn measure(tracer: &Path, plan: Plan, folder: &Path) -> Result<Ratios> {
    let Plan { pairs, pair_connections: connections, .. } = plan;
    let output = folder.join("output");
    let rate = |cores| -> Result<f64> {
        churn::warm_up(cores)?;
        Ok(f64::from(connections) / churn::run(connections, Load::Exchange(cores))?.as_secs_f64())
    };
    let mut ratios = SETTINGS.map(|_| Vec::new());
    for pair in 1..=pairs {
        if pair % 10 == 1 {
            eprintln!("pair {pair} of {pairs}");
        }
        for ((arguments, cores), ratios) in SETTINGS.into_iter().zip(&mut ratios) {
            let before = rate(cores)?;
            let running = Tool::ours(tracer, arguments).start(&output)?;
            let with = rate(cores)?;
            running.stop()?;
            ratios.push(with * 2.0 / (before + rate(cores)?));
        }
    }
    let [defaults, everything, with_a_core] = ratios;
    Ok(Ratios { defaults, everything, with_a_core })
}
