//! From the start of the process to the first transition on its output.

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

/// Milliseconds of each of so many starts.
pub(crate) fn measure(tracer: &Path, starts: u32) -> Result<Vec<f64>> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        // A listener that comes and goes: two transitions every millisecond to be seen.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                drop(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
                thread::sleep(Duration::from_millis(1));
            }
        });
        let outcome = (0..starts).map(|_| first_event(tracer)).collect();
        stop.store(true, Ordering::Relaxed);
        outcome
    })
}

fn first_event(tracer: &Path) -> Result<f64> {
    let start = Instant::now();
    let mut child = Command::new(tracer)
        .args(["-o", "json", "--count", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("starting the tracer")?;
    let mut output = child.stdout.take().context("no output")?;
    output.read_exact(&mut [0])?;
    let elapsed = start.elapsed();
    drop(output);
    child.wait()?;
    Ok(elapsed.as_secs_f64() * 1e3)
}
