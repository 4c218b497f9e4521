//! `tcptrace diagnose`: watches the host for a while, and says what is wrong.
//!
//! A trace feeds the detectors with transitions and half-open connections, and a thread beside it with looks at all
//! sockets, counters and settings. What they find, and how much of the host could be seen, becomes a [`Report`].

mod live;
mod watch;

use std::{io, path::Path, rc::Rc, sync::mpsc::sync_channel, thread, time::Duration};

use tokio::sync::Notify;

pub use live::{PERIOD, tell_findings};

use crate::{
    bpf,
    capture::{Damage, Header, Reader},
    diagnosis::{
        detect::{self, Finding, Severity},
        report::{Report, Sight, Totals, Verdict},
    },
    record::Summary,
    sys::host,
    trace,
};
use watch::{Shared, Watch};

/// What to watch, and for what.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The trace; its duration is the watch's.
    pub trace: trace::Settings,
    /// What to look for.
    pub detect: detect::Options,
    /// The options that leave out sockets or kinds of findings, such as `--local-port 80`.
    pub filters: Vec<String>,
    /// Findings from this severity on make the verdict.
    pub fail_on: Severity,
    /// End with the first of these.
    pub until_finding: bool,
}

/// Looks that may wait to be told of.
const LOOKS: usize = 8;

/// Watches until the duration is over, a signal comes, or something is found that is to end it. `begun` is called once
/// everything is attached, `looked` by a thread of its own, after each look at the host, with what was found by then.
///
/// # Errors
/// [`trace::Error`].
pub fn run(
    settings: &Settings,
    begun: impl FnOnce(),
    mut looked: impl FnMut(&[Finding]) + Send + 'static,
) -> Result<Report, trace::Error> {
    let shared = Shared::new(seen_from(settings, host::own_netns()));
    let stop = Rc::new(Notify::new());
    // Whatever it does, the ring is read meanwhile.
    let (findings, told) = sync_channel::<Vec<Finding>>(LOOKS);
    let teller = thread::Builder::new()
        .name("findings".to_owned())
        .spawn(move || told.iter().for_each(|findings| looked(&findings)))
        .map_err(trace::Error::Setup)?;
    let end_on = settings.until_finding.then_some(settings.fail_on);
    let theirs = Rc::clone(&stop);
    let looked = move |found: &[Finding]| {
        // While it is busy there is no hurry: the next look finds the same, and more.
        let _ = findings.try_send(found.to_vec());
        if end_on.is_some_and(|least| found.iter().any(|one| one.severity >= least)) {
            theirs.notify_one();
        }
    };
    let watch = Box::new(Watch { shared: shared.clone(), looked });
    let mut header = None;
    let attached = |_: &bpf::Tracer, first: &Header| {
        header = Some(first.clone());
        begun();
    };
    let trace = trace::Settings { looks: Some(period(settings.trace.duration)), ..settings.trace.clone() };
    let summary = trace::run_into(&trace, watch, attached, &stop)?;
    // The trace is over, and with it what was sent to this.
    let _ = teller.join();
    let header = header.ok_or_else(|| trace::Error::Setup(io::Error::other("the trace has not begun")))?;
    Ok(report(settings, &shared, &summary, &header, None))
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
    let header = reader.header();
    let of_one_process = settings.detect.of_one_process || header.tgid != 0;
    let shared = Shared::new(detect::Options { of_one_process, ..seen_from(settings, header.own_netns) });
    let watch = Box::new(Watch { shared: shared.clone(), looked: |_: &[Finding]| {} });
    let trace::Replayed { summary, damage, header, .. } = trace::replay_into(reader, &settings.trace, watch)?;
    Ok(report(settings, &shared, &summary, &header, damage.as_ref()))
}

/// What to look for, for someone who is in this network namespace.
fn seen_from(settings: &Settings, own_netns: Option<u32>) -> detect::Options {
    detect::Options { own_netns, ..settings.detect.clone() }
}

fn report(
    settings: &Settings,
    shared: &Shared,
    summary: &Summary,
    header: &Header,
    damage: Option<&Damage>,
) -> Report {
    let (mut findings, left_out, looks) = shared
        .with(|watched| (watched.detectors.findings(), watched.detectors.left_out(), watched.looks.clone()));
    let mut sight = Sight::of(summary, header, &looks, damage);
    for finding in &mut findings {
        finding.not_seen = sight.missing_of(detect::rests_on(finding.id));
    }
    for (ids, count) in left_out {
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
        totals: Totals::of(summary, looks.count),
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
