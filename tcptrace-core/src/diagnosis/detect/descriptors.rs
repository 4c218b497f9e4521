//! The descriptors of a process, and whether they run out.

use super::culprits::share;
use crate::model::process::Condition;

/// Share of its descriptors in use from which a process is about to run out of them.
const NEARLY_ALL: f64 = 0.9;

/// Share of the open descriptors from which their holders are the reason that descriptors run out.
const A_LARGE_PART: f64 = 0.25;

/// The number of open descriptors, and its limit.
#[derive(Clone, Copy)]
pub(super) struct Descriptors {
    pub(super) used: u64,
    pub(super) limit: u64,
}

impl Descriptors {
    /// The descriptors of a process, where both numbers are known.
    pub(super) fn of(condition: &Condition) -> Option<Self> {
        Some(Self { used: condition.descriptors?, limit: condition.descriptor_limit? })
    }

    /// Whether hardly any descriptor is left.
    pub(super) fn run_out(self) -> bool {
        share(self.used, self.limit) >= NEARLY_ALL
    }

    /// Whether hardly any descriptor is left because `held` of them are held: a busy process has others open.
    pub(super) fn run_out_by(self, held: u64) -> bool {
        self.run_out() && share(held, self.used) >= A_LARGE_PART
    }
}
