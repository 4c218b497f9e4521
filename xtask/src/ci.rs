//! `cargo xtask ci`: all checks that must pass before a change lands. Tests come last, so their count ends the output.

use std::{process::Command, time::Instant};

use anyhow::{Context, Result};

use crate::{process, workspace};

/// The steps, each a command of its own that can be repeated by hand.
const STEPS: [&[&str]; 6] = [&["lint"], &["check-ebpf", "--rebuild"], OLDEST, NEWEST, DAEMONS, LAST];

/// The oldest kernel of Debian's releases that is supported, and the newest. They differ in what programs may do.
/// Scenarios are left out on the newest, since they go the same way on this machine's own kernel. The other kernels and
/// the other tests take long: only the whole `vm-test` runs them.
const OLDEST: &[&str] = &["vm-test", "5.10", "--only", "capabilities,filters,scenarios"];
const NEWEST: &[&str] = &["vm-test", "6.12", "--only", "capabilities,filters"];

/// Real daemons, for a quarter of a minute each; three minutes each are for a release. All daemons must be installed.
/// The tracer is the one that the virtual machines had.
const DAEMONS: &[&str] = &["daemons", "--short", "--require-all", "--static"];

/// The test command prints its duration itself, before the count that ends the output. The tracer is the one that the
/// virtual machines had.
const LAST: &[&str] = &["test", "--static"];

/// A release profile that builds quickly. It is good enough for tests; the kernel object would come out different.
const QUICK: [(&str, &str); 2] =
    [("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")];

/// # Errors
/// The error of the first step that fails.
pub(crate) fn main() -> Result<()> {
    let xtask = std::env::current_exe().context("path of this program")?;
    for step in STEPS {
        let name = format!("cargo xtask {}", step.join(" "));
        eprintln!("==> {name}");
        let start = Instant::now();
        let mut command = Command::new(&xtask);
        command.args(step).current_dir(workspace::root());
        if [OLDEST, NEWEST, DAEMONS, LAST].contains(&step) {
            command.envs(QUICK);
        }
        let outcome = process::run(&mut command);
        let seconds = start.elapsed().as_secs();
        outcome.with_context(|| format!("{name} failed after {seconds} s"))?;
        if step != LAST {
            eprintln!("==> {name}: passed after {seconds} s");
        }
    }
    Ok(())
}
