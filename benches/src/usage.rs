//! The resources that a process has used from its start to its end.
//!
//! The kernel keeps the peak of memory over all children that were waited for, not for each of them. So a separate
//! process starts each program: another instance of this program, which has no other children.

use std::{
    ffi::OsString,
    fs::File,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike as _,
};
use serde::{Deserialize, Serialize};

use crate::deadline;

/// The time after which a program has hung and is killed.
const LIMIT: Duration = Duration::from_mins(2);

/// The resources that were used.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Seconds from the start to the end.
    pub(crate) wall_s: f64,
    /// CPU time of all threads, user and system, seconds.
    pub(crate) cpu_s: f64,
    /// Resident memory at its peak (`VmHWM`), KiB.
    pub(crate) peak_kib: i64,
    /// The exit code.
    pub(crate) code: Option<i32>,
}

/// Runs a program to its end, with its output in a file.
///
/// # Errors
/// When the program cannot be run.
pub(crate) fn of(program: &Path, arguments: &[OsString], output: &Path) -> Result<Usage> {
    let told = Command::new(std::env::current_exe()?)
        .arg("--usage")
        .arg(output)
        .arg(program)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("starting {}", program.display()))?;
    ensure!(told.status.success(), "{} could not be run", program.display());
    serde_json::from_slice(&told.stdout).context("what was used")
}

/// The work of that separate process, from its arguments: an output, a program, and the arguments of the program.
///
/// # Errors
/// When the program cannot be run.
pub(crate) fn tell(arguments: &[OsString]) -> Result<()> {
    let [output, program, arguments @ ..] = arguments else { anyhow::bail!("an output and a program") };
    let output = File::create(output).context("the output")?;
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    let status = deadline::within(LIMIT, child.id(), || child.wait())?;
    let wall_s = start.elapsed().as_secs_f64();
    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = used.user_time() + used.system_time();
    #[expect(clippy::cast_precision_loss, reason = "seconds in microseconds")]
    let cpu_s = cpu.num_microseconds() as f64 / 1e6;
    let usage = Usage { wall_s, cpu_s, peak_kib: used.max_rss(), code: status.code() };
    println!("{}", serde_json::to_string(&usage)?);
    Ok(())
}
