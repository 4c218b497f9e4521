//! What runs in the guest, built statically.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, Result, bail};

use super::catalogue::Arch;
use crate::{dist, process, workspace};

/// The tests that mean something on another kernel: what is seen, for how long, what is
/// shown, to whom.
const TESTS: [&str; 4] = ["scenarios", "durations", "filters", "capabilities"];
/// What they start.
const TOOLS: [&str; 2] = ["actor", "load"];

/// Programs for one architecture.
pub(crate) struct Programs {
    pub(crate) init: PathBuf,
    /// To be found on the PATH: the tracer as it is released, and what tests start.
    pub(crate) tools: Vec<(&'static str, PathBuf)>,
    pub(crate) tests: Vec<(&'static str, PathBuf)>,
}

impl Programs {
    /// Builds them.
    ///
    /// # Errors
    /// The target is not installed, or a build fails.
    pub(crate) fn build(arch: Arch) -> Result<Self> {
        eprintln!("    building for {}", arch.target());
        let tracer = dist::binary(arch.target())?;
        let mut command = dist::cargo_for(arch.target())?;
        command.args(["test", "--no-run", "--package", "tcptrace-tests", "--profile", "guest"]);
        command.args(["--target", arch.target(), "--message-format", "json-render-diagnostics"]);
        for test in TESTS {
            command.args(["--test", test]);
        }
        let output = command.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
        if !output.status.success() {
            bail!("the build failed: {}", process::shown(&command));
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        let built = |name: &'static str| {
            let path = workspace::executable(&messages, name);
            path.map(|path| (name, path)).with_context(|| format!("cargo named no program {name}"))
        };
        let mut tools = TOOLS.map(built).into_iter().collect::<Result<Vec<_>>>()?;
        tools.push(("tcptrace", tracer));
        let tests = TESTS.map(built).into_iter().collect::<Result<Vec<_>>>()?;
        Ok(Self { init: built("guest")?.1, tools, tests })
    }
}
