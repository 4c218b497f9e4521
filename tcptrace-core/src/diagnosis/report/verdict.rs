//! What a diagnosis comes to.

use super::Coverage;
use crate::model::finding::{Finding, Severity};

/// The outcome. What is below `--fail-on` does not count as found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was found, and everything was seen.
    Healthy,
    /// Something was found.
    Findings,
    /// Nothing was found, but not everything was seen: it need not be healthy.
    Insufficient,
}

impl Verdict {
    /// Of these findings; those from `fail_on` on count.
    pub fn of(findings: &[Finding], fail_on: Severity, coverage: &Coverage) -> Self {
        if findings.iter().any(|finding| finding.severity >= fail_on) {
            Self::Findings
        } else if coverage.is_complete() {
            Self::Healthy
        } else {
            Self::Insufficient
        }
    }

    /// As all outputs have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Findings => "findings",
            Self::Insufficient => "insufficient",
        }
    }
}
