//! As many connections as can be made, for a minute: is anything lost?

use std::{
    fs::OpenOptions,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{churn, proc, summary::Summary, tool::Tool};

/// The output is emptied when it has so many bytes: neither the room on a disk nor its speed is what is measured. To empty a
/// large file takes longer than the tracer can wait.
const MOST_BYTES: u64 = 64 << 20;
/// How often its size is looked at.
const PERIOD: Duration = Duration::from_millis(100);

/// What was measured.
pub(crate) struct Endurance {
    /// How long the load was.
    pub(crate) length: Duration,
    /// Connections that were made.
    pub(crate) connections: u64,
    /// The account of the trace.
    pub(crate) summary: Summary,
    /// Resident at the end, KiB.
    pub(crate) resident_kib: u64,
}

/// Has `threads` make connections for this long, under the tracer with its default settings and JSON into a file.
///
/// # Errors
/// When a connection cannot be made, or the tracer fails.
pub(crate) fn measure(tracer: &Path, length: Duration, threads: u8, folder: &Path) -> Result<Endurance> {
    let output = folder.join("endurance");
    let running = Tool::ours(tracer, &["-o", "json"]).start(&output)?;
    let done = AtomicBool::new(false);
    let start = Instant::now();
    let connections = thread::scope(|scope| {
        let janitor = scope.spawn(|| empty(&output, &done));
        let made = churn::run_for(length, threads);
        done.store(true, Ordering::Relaxed);
        janitor.join().expect("it does not panic")?;
        made
    })?;
    let length = start.elapsed();
    let resident_kib = proc::resident_kib(running.pid())?;
    running.stop()?;
    let summary = Summary::of(&output).context("the account of the trace")?;
    Ok(Endurance { length, connections, summary, resident_kib })
}

/// Keeps the file small until the load is done. What is written goes to its end, wherever that is.
fn empty(output: &Path, done: &AtomicBool) -> Result<()> {
    let file = OpenOptions::new().write(true).open(output)?;
    while !done.load(Ordering::Relaxed) {
        thread::sleep(PERIOD);
        if file.metadata()?.len() > MOST_BYTES {
            file.set_len(0)?;
        }
    }
    Ok(())
}
