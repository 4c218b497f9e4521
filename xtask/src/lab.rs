//! `cargo xtask lab`: one fault of the fault lab, for a person to inspect.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::{process, workspace};

/// Make one fault for real in a network namespace, and show what `tcptrace diagnose` says of it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The fault, or a part of its name; all that there are unless given.
    name: Option<String>,
    /// Save what happens as a scenario in this directory: a capture, and what is found in it.
    #[arg(long, value_name = "DIRECTORY", requires = "name")]
    record: Option<PathBuf>,
}

/// # Errors
/// A build fails, this process is not root, or the diagnosis is not the expected one.
pub(crate) fn main(args: &Args) -> Result<()> {
    workspace::build_tracer()?;
    let mut command = workspace::cargo();
    command.args(["test", "--quiet", "--package", "tcptrace-tests", "--test", "diagnose", "--"]);
    let Some(name) = &args.name else {
        command.arg("--list");
        return process::run(&mut command);
    };
    if !process::is_root()? {
        bail!("the lab makes network namespaces: run it as root");
    }
    if let Some(directory) = &args.record {
        let directory = std::path::absolute(directory)?;
        std::fs::create_dir_all(&directory)?;
        command.env("TCPTRACE_LAB_SCENARIOS", directory);
    }
    command.args(["--nocapture", "--test-threads", "1", name]).env("TCPTRACE_LAB", "1");
    process::run(&mut command)
}
