//! The cost of tracing: this tool and its peers under the same load, in the same run, as ratios; and every figure that
//! tcptrace must meet.
//!
//! Every figure comes from outside the tools: the kernel's statistics of their programs, `/proc`, and the rate of
//! connections that a load on loopback reaches. Rounds alternate between the tools, so that a slowdown of the machine
//! affects all of them. The median of each figure counts.

mod against;
mod capture;
mod churn;
mod criterion;
mod deadline;
mod endurance;
mod figures;
mod held;
mod hooks;
mod idle;
mod measure;
mod measured;
mod memory;
mod pairs;
mod plan;
mod proc;
mod recording;
mod replay;
mod report;
mod sockets;
mod startup;
mod statistics;
mod summary;
mod tool;
mod usage;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result};
use clap::Parser;

use measured::Measured;
use plan::Plan;

/// Measure what tracing costs, beside its peers. Needs root.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Args {
    /// Measure everything only briefly, to see whether it works
    #[arg(long)]
    quick: bool,
    /// Connections of each thread in a slice of time, the unit of comparison (ten transitions each)
    #[arg(long, value_parser = clap::value_parser!(u32).range(100..=200_000))]
    connections: Option<u32>,
    /// Rounds with the peers, of one to two minutes; of each figure the median counts
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// Leave out the peers
    #[arg(long)]
    alone: bool,
    /// Measure `tcptrace sockets` beside ss instead, with 100,000 sockets
    #[arg(long, conflicts_with_all = ["alone", "quick", "write"])]
    sockets: bool,
    /// Compare with this older tcptrace instead, in turns
    #[arg(long, value_name = "BINARY", conflicts_with_all = ["alone", "sockets", "write", "rounds", "connections"])]
    against: Option<PathBuf>,
    /// Write the tables into this document, between its markers
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// The tracer to measure
    #[arg(long, env = "TCPTRACE_BIN", default_value = "tcptrace", hide = true)]
    tracer: PathBuf,
    /// Where criterion has put what it measured
    #[arg(long, value_name = "DIRECTORY", hide = true)]
    criterion: Option<PathBuf>,
    /// Hold so many connections until the input ends
    #[arg(long, hide = true)]
    hold: Option<u32>,
    /// Run a program with its output in a file, and tell what it used
    #[arg(long, hide = true, num_args = 2.., allow_hyphen_values = true)]
    usage: Option<Vec<OsString>>,
}

impl Args {
    fn plan(&self) -> Plan {
        let plan = if self.quick { Plan::QUICK } else { Plan::FULL };
        Plan {
            connections: self.connections.unwrap_or(plan.connections),
            rounds: self.rounds.unwrap_or(plan.rounds),
            ..plan
        }
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(connections) = args.hold {
        return held::hold(connections);
    }
    if let Some(command) = &args.usage {
        return usage::tell(command);
    }
    anyhow::ensure!(nix::unistd::geteuid().is_root(), "measuring loads eBPF programs: run it as root");
    churn::isolate()?;
    if args.sockets {
        let rounds = args.rounds.unwrap_or(Plan::FULL.rounds);
        print!("{}", sockets::measure(&args.tracer, rounds)?);
        return Ok(());
    }
    if let Some(older) = &args.against {
        return compare(older, &args);
    }
    let plan = args.plan();
    let tools = tool::all(&args.tracer, args.alone);
    let measured = Measured::measure(&args.tracer, &tools, args.criterion.as_deref(), plan)?;
    let text = report::render(&tools, &measured, plan);
    print!("{text}");
    if let Some(file) = args.write {
        report::write(&file, &text).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

/// Compares the tracer with an older one, and prints the table.
fn compare(older: &Path, args: &Args) -> Result<()> {
    let plan = if args.quick { against::Plan::QUICK } else { against::Plan::FULL };
    let start = Instant::now();
    let table = against::measure(older, &args.tracer, plan)?;
    println!("{} Measured in {} s.\n\n{}", report::machine(), start.elapsed().as_secs(), table.render());
    if args.quick {
        eprintln!("--quick shows only whether the comparison works: its figures decide nothing");
        return Ok(());
    }
    let (faults, all) = (table.faults(), table.len());
    anyhow::ensure!(faults == 0, "{faults} of {all} figures missed their target or were not measured");
    Ok(())
}
