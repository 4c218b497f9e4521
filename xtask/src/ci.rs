//! `cargo xtask ci`: all that must hold before a change lands. Tests come last, so their count ends the output.

use std::{process::Command, time::Instant};

use anyhow::{Context, Result};

use crate::{process, workspace};

/// The steps, each a command of its own that can be repeated by hand.
const STEPS: [&[&str]; 6] = [&["lint"], &["check-ebpf", "--rebuild"], OLDEST, NEWEST, DAEMONS, LAST];

/// The oldest kernel of Debian's releases that is supported, and the newest, which differs from it in what programs may do.
/// What a scenario looks like there is seen on this machine's own kernel as well. The others, and the other tests, take
/// long: these are for the whole `vm-test`.
const OLDEST: &[&str] = &["vm-test", "5.10", "--only", "capabilities,filters,scenarios"];
const NEWEST: &[&str] = &["vm-test", "6.12", "--only", "capabilities,filters"];

/// Real daemons, a quarter of a minute each; three minutes each are for a release. All are installed, and its tracer is the
/// one that the virtual machines had.
const DAEMONS: &[&str] = &["daemons", "--short", "--require-all", "--static"];

/// Tells its duration itself, before the count that ends the output. Its tracer is the one that the virtual machines had.
const LAST: &[&str] = &["test", "--static"];

/// For tests, a release that is quick to build is as good; for the kernel object it would be another one.
const QUICK: [(&str, &str); 2] =
    [("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")];

/// # Errors
/// The first step that fails.
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
