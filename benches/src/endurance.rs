//! As many connections as possible for a minute, to check that nothing is lost.

use std::{
    fs::OpenOptions,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{churn, proc, summary::Summary, tool::Tool};

/// The size at which the output is emptied: neither the space on a disk nor its speed is measured. Emptying a large
/// file takes longer than the tracer can wait.
const MOST_BYTES: u64 = 64 << 20;
/// The interval between checks of the output's size.
const PERIOD: Duration = Duration::from_millis(100);

/// The results of the measurement.
pub(crate) struct Endurance {
    /// The duration of the load.
    pub(crate) length: Duration,
    /// Connections that were made.
    pub(crate) connections: u64,
    /// The account of the trace.
    pub(crate) summary: Summary,
    /// Resident memory at the end, KiB.
    pub(crate) resident_kib: u64,
}

/// Makes connections on `threads` for this long, under the tracer with its default settings and JSON into a file.
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

/// Keeps the file small until the load is done. The tracer appends to the end of the file, wherever that is.
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
