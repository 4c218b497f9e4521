//! The report of a diagnosis: findings and coverage.

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

/// The findings of a diagnosis, its host, and its coverage.
#[derive(Clone, Debug)]
pub struct Report {
    /// The host's name.
    pub host: String,
    /// Its kernel's release.
    pub kernel: String,
    /// The time at which the watch began.
    pub started: Timestamp,
    /// The duration of the watch, nanoseconds.
    pub elapsed_ns: u64,
    /// The options that left out sockets or kinds of findings. The verdict does not cover these.
    pub filters: Vec<String>,
    /// The outcome.
    pub verdict: Verdict,
    /// The findings, the worst first.
    pub findings: Vec<Finding>,
    /// The coverage.
    pub coverage: Coverage,
    /// The totals of the watch.
    pub totals: Totals,
}

/// The totals of a watch.
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

/// Options of a report.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    /// The options that leave out sockets or kinds of findings, such as `--local-port 80`.
    pub filters: Vec<String>,
    /// The severity from which findings make the verdict.
    pub fail_on: Severity,
}

impl Detection {
    /// The report of a trace that has ended. `damage`: why the rest of its capture is missing.
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

/// The filters of this diagnosis, and those with which its capture was recorded.
fn filters(options: &ReportOptions, header: &Header) -> Vec<String> {
    let mut filters = header.filters.clone();
    filters.extend(options.filters.iter().filter(|filter| !header.filters.contains(filter)).cloned());
    if header.hidden.any && header.filters.is_empty() {
        filters.push("filters of the recording, which its capture does not name".to_owned());
    }
    filters
}
