//! What tracing costs: our tool and its peers under the same load, in the same run, as ratios.
//!
//! Every figure comes from outside the tools: the kernel's statistics of their programs, `/proc`, and the rate
//! at which a load on loopback gets its connections. Rounds alternate between the tools, so that a machine that
//! becomes slower does so for all; of each figure the median counts.

mod churn;
mod held;
mod measure;
mod proc;
mod report;
mod sockets;
mod startup;
mod tool;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;

use measure::Plan;

/// Measure what tracing costs, beside its peers. Needs root.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Args {
    /// Connections of each thread in a slice of time, the unit of measurement (ten transitions each)
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(100..=200_000))]
    connections: u32,
    /// Rounds, of one to two minutes with the peers; of each figure the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Leave out the peers
    #[arg(long)]
    alone: bool,
    /// Measure `tcptrace sockets` beside ss instead, with 100,000 sockets
    #[arg(long, conflicts_with_all = ["alone", "write"])]
    sockets: bool,
    /// Write the table into this document, between its markers
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// The tracer to measure
    #[arg(long, env = "TCPTRACE_BIN", default_value = "tcptrace", hide = true)]
    tracer: PathBuf,
    /// Hold so many connections until the input ends
    #[arg(long, hide = true)]
    hold: Option<u32>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(connections) = args.hold {
        return held::hold(connections);
    }
    anyhow::ensure!(nix::unistd::geteuid().is_root(), "measuring loads eBPF programs: run it as root");
    churn::isolate()?;
    if args.sockets {
        print!("{}", sockets::measure(&args.tracer, args.rounds)?);
        return Ok(());
    }
    let tools = tool::all(&args.tracer, args.alone);
    let plan = Plan { connections: args.connections, rounds: args.rounds };
    let measured = measure::run(&tools, plan)?;
    let start = startup::measure(&args.tracer, args.rounds)?;
    let text = report::render(&tools, &measured, &start, plan);
    print!("{text}");
    if let Some(file) = args.write {
        report::write(&file, &text).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}
