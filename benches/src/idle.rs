//! The cost of tcptrace on an idle host.

use std::{path::Path, thread, time::Duration};

use anyhow::{Context as _, Result};

use crate::{proc, summary::Summary, tool::Tool};

/// The results of the measurement.
pub(crate) struct Idle {
    pub(crate) length: Duration,
    /// Percent of one CPU, user and system.
    pub(crate) cpu_percent: f64,
    /// Resident memory at the end, KiB.
    pub(crate) resident_kib: u64,
    /// Transitions of the whole host during the measurement: the host may not have been quite idle.
    pub(crate) seen: u64,
}

/// Measures the tracer, with default settings and JSON into a file, for this long.
///
/// # Errors
/// When the tracer does not start or end.
pub(crate) fn measure(tracer: &Path, length: Duration, folder: &Path) -> Result<Idle> {
    let output = folder.join("idle");
    let running = Tool::ours(tracer, &["-o", "json"]).start(&output)?;
    // The start includes reading the kernel's type information and dumping the sockets.
    thread::sleep(Duration::from_secs(2));
    let before = proc::cpu_time(running.pid())?;
    thread::sleep(length);
    let used = proc::cpu_time(running.pid())?.saturating_sub(before);
    let resident_kib = proc::resident_kib(running.pid())?;
    running.stop()?;
    let seen = Summary::of(&output).context("the idle trace")?.seen;
    Ok(Idle { length, cpu_percent: 100.0 * used.as_secs_f64() / length.as_secs_f64(), resident_kib, seen })
}
