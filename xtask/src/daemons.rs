//! `cargo xtask daemons`: tcptrace watches real daemons in normal work and with faults.

use anyhow::{Result, bail};

use crate::{dist, process, workspace};

/// Have nginx, haproxy, redis and other daemons work and fail in network namespaces, and compare what tcptrace says of them.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only situations with one of these in their name, such as `nginx` or `haproxy/dead`.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    plan: Plan,
    /// Take a daemon that is not installed for a failure; otherwise its situations are skipped.
    #[arg(long)]
    require_all: bool,
    /// Test the static binary that is released.
    #[arg(long = "static")]
    is_static: bool,
    /// Only list the situations.
    #[arg(long)]
    list: bool,
}

/// For how long, and how many at a time.
#[derive(clap::Args)]
struct Plan {
    /// Watch for a quarter of a minute each, not for three minutes.
    #[arg(long)]
    short: bool,
    /// Watch each for so long, at least 10 seconds.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Have so many going on at a time.
    #[arg(long, value_name = "N")]
    at_once: Option<u64>,
}

/// # Errors
/// A build fails, this process is not root, or tcptrace reports a situation wrongly.
pub(crate) fn main(args: &Args) -> Result<()> {
    let mut command = workspace::cargo();
    command.args([
        "run",
        "--quiet",
        "--package",
        "tcptrace-tests",
        "--no-default-features",
        "--bin",
        "daemons",
        "--",
    ]);
    command.args(&args.names);
    if args.list {
        return process::run(command.arg("--list"));
    }
    if !process::is_root()? {
        bail!("the daemons get network namespaces, and tcptrace loads eBPF programs: run it as root");
    }
    if process::find("ip").is_none() {
        bail!(
            "the network namespaces need `ip` (Debian, Ubuntu: apt-get install iproute2; Fedora: dnf install iproute)"
        );
    }
    let tracer = if args.is_static { dist::binary(dist::HERE)? } else { workspace::build_tracer()? };
    command.env("TCPTRACE_BIN", tracer);
    if args.require_all {
        command.env("TCPTRACE_REQUIRE_ALL", "1");
    }
    if args.plan.short {
        command.arg("--short");
    }
    for (option, value) in [("--seconds", args.plan.seconds), ("--at-once", args.plan.at_once)] {
        if let Some(value) = value {
            command.args([option, &value.to_string()]);
        }
    }
    process::run(&mut command)
}
