//! What a diagnosis says as a whole: what was found, and how much could be seen.

mod coverage;
mod scans;
mod verdict;

use jiff::Timestamp;

pub use coverage::Coverage;
pub use coverage::left_out;
pub use scans::Scans;
pub use verdict::Verdict;

use crate::{
    diagnosis::{Detection, detect::rests_on},
    model::{
        finding::{Finding, Severity},
        header::Header,
        summary::Summary,
    },
};

/// What was found, on which host, and how much could be seen.
#[derive(Clone, Debug)]
pub struct Report {
    /// The host's name.
    pub host: String,
    /// Its kernel's release.
    pub kernel: String,
    /// When the watch began.
    pub started: Timestamp,
    /// How long it was, in nanoseconds.
    pub elapsed_ns: u64,
    /// The options that left out sockets or kinds of findings. The verdict does not cover these.
    pub filters: Vec<String>,
    /// The outcome.
    pub verdict: Verdict,
    /// The worst first.
    pub findings: Vec<Finding>,
    /// How much could be seen.
    pub coverage: Coverage,
    /// What was seen.
    pub totals: Totals,
}

/// What was seen in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Transitions of the whole host.
    pub transitions: u64,
    /// Half-open connections that were followed.
    pub half_open: u64,
    /// Scans of the host's sockets.
    pub scans: u64,
}

impl Totals {
    fn of(summary: &Summary, scans: u64) -> Self {
        let followed = summary.half_open.as_ref().and_then(|half_open| half_open.followed);
        Self { transitions: summary.seen(), half_open: followed.map_or(0, |counts| counts.begun), scans }
    }
}

/// What a verdict covers.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    /// The options that leave out sockets or kinds of findings, such as `--local-port 80`.
    pub filters: Vec<String>,
    /// Findings from this severity on make the verdict.
    pub fail_on: Severity,
}

impl Detection {
    /// What a trace comes to that has ended. `damage`: why the rest of its capture is missing.
    pub fn report(
        &self,
        summary: &Summary,
        header: &Header,
        damage: Option<&str>,
        options: &ReportOptions,
    ) -> Report {
        let mut findings = self.findings();
        let mut coverage = Coverage::of(summary, header, self.scans(), damage);
        for finding in &mut findings {
            finding.not_seen = coverage.gaps_of(rests_on(finding.id));
        }
        for (ids, count) in self.left_out() {
            let what = coverage.full_tables(ids, count);
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
            filters: filters(options, header),
            verdict: Verdict::of(&findings, options.fail_on, &coverage),
            totals: Totals::of(summary, self.scans().count),
            findings,
            coverage,
        }
    }
}

/// The filters of this diagnosis, and those that its capture was recorded with.
fn filters(options: &ReportOptions, header: &Header) -> Vec<String> {
    let mut filters = header.filters.clone();
    filters.extend(options.filters.iter().filter(|filter| !header.filters.contains(filter)).cloned());
    if header.hidden.any && header.filters.is_empty() {
        filters.push("filters of the recording, which its capture does not name".to_owned());
    }
    filters
}
