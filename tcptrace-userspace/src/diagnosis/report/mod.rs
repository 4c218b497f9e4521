//! What a diagnosis says as a whole: what was found, and how much could be seen.

mod scans;
mod sight;
mod verdict;

use jiff::Timestamp;
use serde::Serialize;

pub(crate) use scans::Scans;
pub use sight::Sight;
pub(crate) use sight::left_out;
pub use verdict::Verdict;

use crate::{diagnosis::detect::Finding, record::Summary};

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
    pub sight: Sight,
    /// What was seen.
    pub totals: Totals,
}

/// What was seen in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Transitions of the whole host.
    pub transitions: u64,
    /// Half-open connections that were followed.
    pub half_open: u64,
    /// Looks at the host's sockets.
    pub looks: u64,
}

impl Totals {
    pub(crate) fn of(summary: &Summary, looks: u64) -> Self {
        let followed = summary.half_open.as_ref().and_then(|half_open| half_open.followed);
        Self { transitions: summary.seen(), half_open: followed.map_or(0, |counts| counts.begun), looks }
    }
}
