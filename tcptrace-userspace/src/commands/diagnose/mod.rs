//! `tcptrace diagnose`: watches the host for a while, and says what is wrong.
//!
//! A trace feeds the detectors with transitions and half-open connections, and a thread beside it with looks at all
//! sockets, counters and settings. What they find, and how much of the host could be seen, becomes a [`Report`].

mod notify;

use std::{io, path::Path, rc::Rc, time::Duration};

use tokio::sync::Notify;

use crate::{
    bpf,
    capture::{Damage, Header, Reader},
    diagnosis::{
        Detection,
        detect::{self, Finding, Severity},
        report::{Report, Sight, Totals, Verdict},
    },
    output::Nowhere,
    record::Summary,
    trace,
};
use notify::Notifier;

/// What to watch, and for what.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The trace; its duration is the watch's.
    pub trace: trace::Settings,
    /// The options that leave out sockets or kinds of findings, such as `--local-port 80`.
    pub filters: Vec<String>,
    /// Findings from this severity on make the verdict.
    pub fail_on: Severity,
    /// End with the first of these.
    pub until_finding: bool,
}

/// Watches until the duration is over, a signal comes, or something is found that is to end it. `begun` is called once
/// everything is attached; `notified` on a thread of its own, when findings begin, change or end, and every second, with those
/// that are open.
///
/// # Errors
/// [`trace::Error`].
pub fn run(
    settings: &Settings,
    begun: impl FnOnce(),
    notified: impl FnMut(&[Finding]) + Send + 'static,
) -> Result<Report, trace::Error> {
    let stop = Rc::new(Notify::new());
    let end_on = settings.until_finding.then_some(settings.fail_on);
    let (notifier, thread) =
        Notifier::start(notified, Rc::clone(&stop), end_on).map_err(trace::Error::Setup)?;
    let mut header = None;
    let attached = |_: &bpf::Tracer, first: &Header| {
        header = Some(first.clone());
        begun();
    };
    let trace = trace::Settings { looks: Some(period(settings.trace.duration)), ..settings.trace.clone() };
    let (summary, detection) = trace::run_into(&trace, Box::new(notifier), attached, &stop)?;
    // The trace is over, and with it the notifier.
    let _ = thread.join();
    let header = header.ok_or_else(|| trace::Error::Setup(io::Error::other("the trace has not begun")))?;
    Ok(report(settings, &watched(detection), &summary, &header, None))
}

/// The same of a capture.
///
/// # Errors
/// [`trace::Error`].
pub fn replay(path: &Path, settings: &Settings) -> Result<Report, trace::Error> {
    replay_from(Reader::open(path)?, settings)
}

/// The same of what `reader` reads.
///
/// # Errors
/// [`trace::Error`].
pub(crate) fn replay_from<R: io::Read>(
    reader: Reader<R>,
    settings: &Settings,
) -> Result<Report, trace::Error> {
    let trace::Replayed { summary, detection, damage, header, .. } =
        trace::replay_into(reader, &settings.trace, Box::new(Nowhere))?;
    Ok(report(settings, &watched(detection), &summary, &header, damage.as_ref()))
}

/// What was found; a trace that looked for nothing has found nothing.
fn watched(detection: Option<Detection>) -> Detection {
    detection.unwrap_or_else(|| Detection::new(detect::Options::default()))
}

fn report(
    settings: &Settings,
    detection: &Detection,
    summary: &Summary,
    header: &Header,
    damage: Option<&Damage>,
) -> Report {
    let mut findings = detection.findings();
    let mut sight = Sight::of(summary, header, detection.scans(), damage);
    for finding in &mut findings {
        finding.not_seen = sight.missing_of(detect::rests_on(finding.id));
    }
    for (ids, count) in detection.left_out() {
        let what = sight.crowded(ids, count);
        for finding in findings.iter_mut().filter(|finding| ids.contains(&finding.id)) {
            finding.not_seen.push(what.clone());
        }
    }
    let begun_ns = summary.ktime_ns.saturating_sub(summary.elapsed_ns);
    Report {
        host: header.host.clone(),
        kernel: header.kernel.clone(),
        started: header.clock.time(begun_ns),
        elapsed_ns: summary.elapsed_ns,
        filters: filters(settings, header),
        verdict: Verdict::of(&findings, settings.fail_on, &sight),
        totals: Totals::of(summary, detection.scans().count),
        findings,
        sight,
    }
}

/// The filters of this diagnosis, and those that its capture was recorded with.
fn filters(settings: &Settings, header: &Header) -> Vec<String> {
    let mut filters = header.filters.clone();
    filters.extend(settings.filters.iter().filter(|filter| !header.filters.contains(filter)).cloned());
    if header.hidden.any && header.filters.is_empty() {
        filters.push("filters of the recording, which its capture does not name".to_owned());
    }
    filters
}

/// How often to look: growth takes several looks to show, and each costs something.
fn period(duration: Option<Duration>) -> Duration {
    let duration = duration.unwrap_or(Duration::from_secs(30));
    (duration / 5).clamp(Duration::from_millis(500), Duration::from_secs(10))
}
