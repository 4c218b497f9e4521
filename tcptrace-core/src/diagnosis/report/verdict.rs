//! The verdict of a diagnosis.

use super::Coverage;
use crate::model::finding::{Finding, Severity};

/// The outcome. Findings below `--fail-on` do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No findings, and complete coverage.
    Healthy,
    /// At least one finding.
    Findings,
    /// No findings, but incomplete coverage: the host may not be healthy.
    Insufficient,
}

impl Verdict {
    /// The verdict on these findings; findings from `fail_on` on count.
    pub fn of(findings: &[Finding], fail_on: Severity, coverage: &Coverage) -> Self {
        if findings.iter().any(|finding| finding.severity >= fail_on) {
            Self::Findings
        } else if coverage.is_complete() {
            Self::Healthy
        } else {
            Self::Insufficient
        }
    }

    /// Its name in all outputs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Findings => "findings",
            Self::Insufficient => "insufficient",
        }
    }
}
