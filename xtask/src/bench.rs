//! `cargo xtask bench`: the cost of tracing, compared with the peers.

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Context, Result, bail};

use crate::{process, workspace};

/// Measure what tracing costs, beside the peers that are installed (libbpf-tools, bpftrace), and print every figure that
/// tcptrace is held to.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the tables into docs/overhead-and-loss.md.
    #[arg(long, conflicts_with_all = ["against", "quick"])]
    write: bool,
    /// Compare with this older tcptrace instead, in turns. The exit code is 1 when a figure misses its target.
    #[arg(long, value_name = "BINARY")]
    against: Option<PathBuf>,
    /// Measure everything only briefly, to see whether it works.
    #[arg(long)]
    quick: bool,
    /// Arguments of the benchmark, after `--`, such as `--alone`; `-- --help` lists them.
    #[arg(last = true)]
    rest: Vec<OsString>,
}

impl Args {
    /// Whether the requested figures include those that criterion measures.
    fn measures_replay(&self) -> bool {
        self.against.is_none()
            && !self
                .rest
                .iter()
                .any(|argument| ["--sockets", "--help", "-h"].iter().any(|other| argument == other))
    }
}

/// # Errors
/// A build fails, this process is not root, or a tool cannot be measured.
pub(crate) fn main(args: &Args) -> Result<()> {
    if !process::is_root()? {
        bail!("measuring loads eBPF programs: run it as root");
    }
    let tracer = workspace::build_tracer()?;
    let mut command = workspace::cargo();
    command.args(["run", "--quiet", "--release", "--package", "tcptrace-bench", "--"]);
    command.arg("--tracer").arg(tracer).args(&args.rest);
    if args.measures_replay() {
        let benchmark = ["bench", "--quiet", "--package", "tcptrace-bench", "--bench", "replay"];
        process::run(workspace::cargo().args(benchmark))?;
        command.arg("--criterion").arg(workspace::target()?.join("criterion"));
    }
    if let Some(older) = &args.against {
        // The benchmark runs in another folder than the caller.
        let older = older.canonicalize().with_context(|| older.display().to_string())?;
        command.arg("--against").arg(older);
    }
    if args.quick {
        command.arg("--quick");
    }
    if args.write {
        command.arg("--write").arg(workspace::root().join("docs/overhead-and-loss.md"));
    }
    process::run(&mut command)
}
