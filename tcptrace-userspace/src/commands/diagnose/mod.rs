//! `tcptrace diagnose`: watches the host for a while, and says what is wrong.
//!
//! A trace feeds the detectors with transitions and half-open connections, and a thread beside it with looks at all
//! sockets, counters and settings. What they find, and how much of the host could be seen, becomes a [`Report`].

mod notify;

use std::{io, path::Path, time::Duration};

use tcptrace_core::{
    capture::{Reader, Replayed},
    diagnosis::{
        Detection, detect,
        report::{Report, ReportOptions},
    },
    model::finding::{Finding, Severity},
};

use super::stream::{Priority, Signals, notify as notify_person, until_end, with_priority};
use crate::session::{self, Interest, Notice, OnFull, Session};

/// What to watch, and for what.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The trace; its duration is the watch's.
    pub trace: session::Settings,
    /// The options that leave out sockets or kinds of findings, such as `--local-port 80`.
    pub filters: Vec<String>,
    /// Findings from this severity on make the verdict.
    pub fail_on: Severity,
    /// End with the first of these.
    pub until_finding: bool,
    /// Read the ring before others get the CPU.
    pub priority: Priority,
}

impl Settings {
    /// What the report is to be of.
    fn report(&self) -> ReportOptions {
        ReportOptions { filters: self.filters.clone(), fail_on: self.fail_on }
    }
}

/// Watches until the duration is over, a signal comes, or something is found that is to end it. `begun` is called once
/// everything is attached; `notified` on a thread of its own, when findings begin, change or end, and every second, with those
/// that are open.
///
/// # Errors
/// [`session::Error`].
pub fn run(
    settings: &Settings,
    begun: impl FnOnce(),
    notified: impl FnMut(&[Finding]) + Send + 'static,
) -> Result<Report, session::Error> {
    let signals = Signals::install()?;
    let trace = session::Settings { scans: Some(period(settings.trace.duration)), ..settings.trace.clone() };
    // What cannot be seen is in the report.
    let plan = Session::live(trace).notices(|notice| {
        if let Notice::Disk(_) | Notice::OwnPids = notice {
            notify_person(&notice, None);
        }
    });
    let mut plan = with_priority(plan, settings.priority);
    let records = plan.subscribe("findings", Interest::FINDINGS, OnFull::Count);
    let session = plan.start()?;
    let header = session.header().clone();
    let end_on = settings.until_finding.then_some(settings.fail_on);
    begun();
    let notifier = notify::start(records, notified, session.handle().clone(), end_on)?;
    // What becomes of it is to go to standard output.
    let (_, outcome) = until_end(session, signals, true)?;
    // The trace is over, and with it the notifier.
    let _ = notifier.join();
    outcome.recording?;
    Ok(watched(outcome.detection).report(&outcome.summary, &header, None, &settings.report()))
}

/// The same of a capture.
///
/// # Errors
/// [`session::Error`].
pub fn replay(path: &Path, settings: &Settings) -> Result<Report, session::Error> {
    replay_from(Reader::open(path)?, settings)
}

/// The same of what `reader` reads.
///
/// # Errors
/// [`session::Error`].
pub(crate) fn replay_from<R: io::Read>(
    reader: Reader<R>,
    settings: &Settings,
) -> Result<Report, session::Error> {
    let Replayed { summary, detection, damage, header, .. } =
        session::replay_here(&settings.trace, reader, |_| None, &mut io::sink())?;
    let damage = damage.map(|damage| damage.to_string());
    Ok(watched(detection).report(&summary, &header, damage.as_deref(), &settings.report()))
}

/// What was found; a trace that looked for nothing has found nothing.
fn watched(detection: Option<Detection>) -> Detection {
    detection.unwrap_or_else(|| Detection::new(detect::Options::default()))
}

/// How often to look: growth takes several looks to show, and each costs something.
fn period(duration: Option<Duration>) -> Duration {
    let duration = duration.unwrap_or(Duration::from_secs(30));
    (duration / 5).clamp(Duration::from_millis(500), Duration::from_secs(10))
}
