//! `cargo xtask bench`: what tracing costs, beside its peers.

use std::ffi::OsString;

use anyhow::{Result, bail};

use crate::{process, workspace};

/// Measure what tracing costs, beside the peers that are installed (libbpf-tools, bpftrace), and print every figure that
/// tcptrace is held to.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the tables into docs/overhead-and-loss.md.
    #[arg(long)]
    write: bool,
    /// Arguments of the benchmark, after `--`, such as `--quick`; `-- --help` tells them.
    #[arg(last = true)]
    args: Vec<OsString>,
}

impl Args {
    /// Whether what was asked for has the figures that criterion measures.
    fn measures_replay(&self) -> bool {
        !self.args.iter().any(|argument| ["--sockets", "--help", "-h"].iter().any(|other| argument == other))
    }
}

/// # Errors
/// A build fails, this is not root, or a tool cannot be measured.
pub(crate) fn main(args: &Args) -> Result<()> {
    if !process::is_root()? {
        bail!("measuring loads eBPF programs: run it as root");
    }
    let tracer = workspace::build_tracer()?;
    let mut command = workspace::cargo();
    command.args(["run", "--quiet", "--release", "--package", "tcptrace-bench", "--"]);
    command.arg("--tracer").arg(tracer).args(&args.args);
    if args.measures_replay() {
        let benchmark = ["bench", "--quiet", "--package", "tcptrace-bench", "--bench", "replay"];
        process::run(workspace::cargo().args(benchmark))?;
        command.arg("--criterion").arg(workspace::target()?.join("criterion"));
    }
    if args.write {
        command.arg("--write").arg(workspace::root().join("docs/overhead-and-loss.md"));
    }
    process::run(&mut command)
}
