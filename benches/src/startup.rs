//! The time from the start of the process to the first transition on its output.

use std::{
    io::Read as _,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::deadline;

/// The time after which a tool without an event has hung and is killed.
const LIMIT: Duration = Duration::from_secs(20);

/// Milliseconds to the first event, for each of this many starts.
///
/// # Errors
/// When the tracer does not start.
pub(crate) fn measure(tracer: &Path, starts: u32) -> Result<Vec<f64>> {
    with_events(|| (0..starts).map(|_| first_event(tracer)).collect())
}

/// Calls `measure` while there are transitions.
pub(crate) fn with_events<T>(measure: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        // A listener that comes and goes: two transitions every millisecond.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                drop(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
                thread::sleep(Duration::from_millis(1));
            }
        });
        let outcome = measure();
        stop.store(true, Ordering::Relaxed);
        outcome
    })
}

/// Milliseconds from the start to the first event.
///
/// # Errors
/// When the tracer does not start.
pub(crate) fn first_event(tracer: &Path) -> Result<f64> {
    let start = Instant::now();
    let mut child = Command::new(tracer)
        .args(["-o", "json", "--count", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("starting the tracer")?;
    let mut output = child.stdout.take().context("no output")?;
    let elapsed = deadline::within(LIMIT, child.id(), || {
        let elapsed = output.read_exact(&mut [0]).map(|()| start.elapsed());
        drop(output);
        child.wait()?;
        elapsed
    });
    Ok(elapsed.context("the tracer printed no event")?.as_secs_f64() * 1e3)
}
