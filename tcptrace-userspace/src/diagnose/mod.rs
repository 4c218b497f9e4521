//! `tcptrace diagnose`: watches the host for a while, and says what is wrong.
//!
//! A trace feeds the detectors with transitions and half-open connections, and a thread beside it with looks at all
//! sockets, counters and settings. What they find, and how much of the host could be seen, becomes a [`Report`].

mod facts;
mod live;
mod report;
mod sampler;
mod sight;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use thiserror::Error;
use tokio::sync::Notify;

pub use live::trace;
pub use report::{Report, Totals};
pub use sight::{Sight, Verdict};

use crate::{
    bpf,
    clock::Clock,
    detect::{self, Detectors, Finding, Severity},
    record::Record,
    sink::Sink,
    trace,
};
use sampler::Sampler;

/// What to watch, and for what.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The trace; its duration is the watch's.
    pub trace: trace::Settings,
    /// What to look for.
    pub detect: detect::Options,
    /// Findings from this severity on make the verdict.
    pub fail_on: Severity,
    /// End with the first of these.
    pub until_finding: bool,
}

/// Why there is no diagnosis.
#[derive(Debug, Error)]
pub enum Error {
    /// The trace.
    #[error(transparent)]
    Trace(#[from] trace::Error),
    /// Threads.
    #[error("setting up")]
    Setup(#[source] io::Error),
}

/// The detectors, fed from two threads.
#[derive(Clone)]
struct Shared(Arc<Mutex<Detectors>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Detectors> {
        // A detector that panicked has said so; the others go on.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Feeds the detectors with the trace.
impl Sink for Shared {
    fn header(&mut self, _out: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    fn write(&mut self, record: &Record, _out: &mut Vec<u8>) -> io::Result<()> {
        self.lock().record(record);
        Ok(())
    }
}

/// Watches until the duration is over, a signal comes, or something is found that is to end it. `begun` is called once
/// everything is attached, `looked` after each look at the host with what was found by then.
///
/// # Errors
/// [`enum@Error`].
pub fn run(
    settings: &Settings,
    begun: impl FnOnce(),
    looked: impl FnMut(&[Finding]) + Send + 'static,
) -> Result<Report, Error> {
    let shared = Shared(Arc::new(Mutex::new(Detectors::new(settings.detect.clone()))));
    let stop = Arc::new(Notify::new());
    let started = Clock::calibrate();
    let sampler = Sampler::new(&settings.trace, period(settings.trace.duration));
    let end_on = settings.until_finding.then_some(settings.fail_on);
    let mut hooks = None;
    let mut running = None;
    let attached = |tracer: &bpf::Tracer| {
        hooks = Some((tracer.hook(), tracer.half_open().cloned()));
        running = Some(sampler.start(shared.clone(), Arc::clone(&stop), end_on, looked));
        begun();
    };
    let summary = trace::watch(&settings.trace, Box::new(shared.clone()), attached, &stop);
    // The last look is after the last record.
    let looks = running.transpose().map_err(Error::Setup)?.map(sampler::Running::finish);
    let summary = summary?;
    let findings = shared.lock().findings();
    let begun_ns = summary.ktime_ns.saturating_sub(summary.elapsed_ns);
    let (hook, half_open) = hooks.map_or((None, None), |(hook, half_open)| (Some(hook), half_open));
    let sight = Sight::of(&summary, hook, half_open.as_ref(), looks.as_ref());
    Ok(Report {
        host: facts::hostname(),
        kernel: facts::kernel(),
        started: started.time(begun_ns),
        elapsed_ns: summary.elapsed_ns,
        verdict: Verdict::of(&findings, settings.fail_on, &sight),
        totals: Totals::of(&summary, looks.map_or(0, |looks| looks.count)),
        findings,
        sight,
    })
}

/// How often to look: growth takes several looks to show, and each costs something.
fn period(duration: Option<Duration>) -> Duration {
    let duration = duration.unwrap_or(Duration::from_secs(30));
    (duration / 5).clamp(Duration::from_millis(500), Duration::from_secs(10))
}

/// When the watch began, for people and machines.
pub type Started = Timestamp;
