//! `cargo xtask soak`: an hour of mixed load under a tracer and a recorder.

use std::ffi::OsString;

use anyhow::{Result, bail};

use crate::{process, workspace};

/// Trace a mixed load for an hour: is all that is told what the kernel counts, and does memory stay what it is?
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// `--minutes`, `--connections-per-second`; `--help` tells them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// # Errors
/// A build fails, this process is not root, or a check fails.
pub(crate) fn main(args: &Args) -> Result<()> {
    if !process::is_root()? {
        bail!("the soak loads eBPF programs: run it as root");
    }
    let tracer = workspace::build_tracer()?;
    let mut command = workspace::cargo();
    command.args(["run", "--quiet", "--release", "--package", "tcptrace-bench", "--bin", "soak", "--"]);
    process::run(command.arg("--tracer").arg(tracer).args(&args.args))
}
