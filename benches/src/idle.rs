//! What tcptrace takes while nothing happens.

use std::{path::Path, thread, time::Duration};

use anyhow::{Context as _, Result};

use crate::{proc, summary::Summary, tool::Tool};

/// What was measured.
pub(crate) struct Idle {
    pub(crate) length: Duration,
    /// Percent of one CPU, user and system.
    pub(crate) cpu_percent: f64,
    /// Resident at the end, KiB.
    pub(crate) resident_kib: u64,
    /// Transitions of the whole host meanwhile: it may not have been quite idle.
    pub(crate) seen: u64,
}

/// Watches the tracer, with default settings and JSON into a file, for this long.
///
/// # Errors
/// When it does not start or end.
pub(crate) fn measure(tracer: &Path, length: Duration, folder: &Path) -> Result<Idle> {
    let output = folder.join("idle");
    let running = Tool::ours(tracer, &["-o", "json"]).start(&output)?;
    // Reading the kernel's type information and the list of sockets is a part of the start.
    thread::sleep(Duration::from_secs(2));
    let before = proc::cpu_time(running.pid())?;
    thread::sleep(length);
    let used = proc::cpu_time(running.pid())?.saturating_sub(before);
    let resident_kib = proc::resident_kib(running.pid())?;
    running.stop()?;
    let seen = Summary::of(&output).context("the idle trace")?.seen;
    Ok(Idle { length, cpu_percent: 100.0 * used.as_secs_f64() / length.as_secs_f64(), resident_kib, seen })
}
