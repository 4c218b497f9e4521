//! `tcptrace diagnose`: watches the host for a while, and reports faults.
//!
//! A trace feeds the detectors with transitions and half-open connections. A thread beside it feeds them with scans of
//! all sockets, counters and settings. The findings, and the coverage of the host, become a [`Report`].

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

/// Settings of a diagnosis.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The trace; its duration is that of the diagnosis.
    pub trace: session::Settings,
    /// The options that leave out sockets or kinds of findings, such as `--local-port 80`.
    pub filters: Vec<String>,
    /// Findings of at least this severity decide the verdict.
    pub fail_on: Severity,
    /// End with the first such finding.
    pub until_finding: bool,
    /// Read the ring before others get the CPU.
    pub priority: Priority,
}

impl Settings {
    /// The options of the report.
    fn report(&self) -> ReportOptions {
        ReportOptions { filters: self.filters.clone(), fail_on: self.fail_on }
    }
}

/// Watches until the duration is over, a signal comes, or a finding ends it. `begun` is called once everything is
/// attached. `notified` is called on a thread of its own, with the open findings: when findings begin, change or end,
/// and every second.
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
    // The report has the gaps, so their notices are not printed.
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
    // The report will go to standard output, so the watch ends when its reader goes away.
    let (_, outcome) = until_end(session, signals, true)?;
    // The notifier ends with the trace.
    let _ = notifier.join();
    outcome.recording?;
    Ok(watched(outcome.detection).report(&outcome.summary, &header, None, &settings.report()))
}

/// As [`run`], for a capture.
///
/// # Errors
/// [`session::Error`].
pub fn replay(path: &Path, settings: &Settings) -> Result<Report, session::Error> {
    replay_from(Reader::open(path)?, settings)
}

/// As [`replay`], for a capture from `reader`.
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

/// The findings; none where no detector ran.
fn watched(detection: Option<Detection>) -> Detection {
    detection.unwrap_or_else(|| Detection::new(detect::Options::default()))
}

/// The interval of scans. Several scans are needed to see growth, and each has a cost.
fn period(duration: Option<Duration>) -> Duration {
    let duration = duration.unwrap_or(Duration::from_secs(30));
    (duration / 5).clamp(Duration::from_millis(500), Duration::from_secs(10))
}
