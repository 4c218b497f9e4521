//! The programs that run in the guest, built statically.

use std::path::PathBuf;

use anyhow::Result;

use super::catalogue::Arch;
use crate::{dist, workspace};

/// The test programs whose results can differ on another kernel: which transitions are seen, their causes, durations
/// and owners, the output, and the privileges it needs.
pub(crate) const TESTS: [&str; 11] = [
    "capabilities",
    "captures",
    "causes",
    "durations",
    "filters",
    "half_open",
    "degraded",
    "preexisting",
    "owners",
    "scenarios",
    "sockets",
];
/// The programs that the tests start.
const TOOLS: [&str; 2] = ["actor", "load"];

/// The programs for one architecture.
pub(crate) struct Programs {
    pub(crate) init: PathBuf,
    /// Programs for the PATH: the tracer as it is released, and the programs that tests start.
    pub(crate) tools: Vec<(&'static str, PathBuf)>,
    pub(crate) tests: Vec<(&'static str, PathBuf)>,
}

impl Programs {
    /// Builds the programs, with these tests of [`TESTS`].
    ///
    /// # Errors
    /// The target is not installed, or a build fails.
    pub(crate) fn build(arch: Arch, tests: &[&'static str]) -> Result<Self> {
        eprintln!("    building for {}", arch.target());
        let tracer = dist::binary(arch.target())?;
        let mut command = dist::cargo_for(arch.target())?;
        command.args(["test", "--no-run", "--package", "tcptrace-tests", "--profile", "guest"]);
        command.args(["--target", arch.target(), "--no-default-features"]);
        for test in tests {
            command.args(["--test", test]);
        }
        let messages = workspace::build(&mut command)?;
        let built = |name: &'static str| workspace::executable(&messages, name).map(|path| (name, path));
        let mut tools = TOOLS.map(built).into_iter().collect::<Result<Vec<_>>>()?;
        tools.push(("tcptrace", tracer));
        let tests = tests.iter().map(|test| built(test)).collect::<Result<Vec<_>>>()?;
        Ok(Self { init: built("guest")?.1, tools, tests })
    }
}
