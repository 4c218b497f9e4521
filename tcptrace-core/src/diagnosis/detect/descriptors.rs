//! The descriptors of a process, and whether they run out.

use super::culprits::share;
use crate::model::process::Condition;

/// Share of its descriptors from which a process is about to run out of them.
const NEARLY_ALL: f64 = 0.9;

/// Share of the descriptors from which what holds them is why they run out.
const A_LARGE_PART: f64 = 0.25;

/// Those that are open, and how many may be.
#[derive(Clone, Copy)]
pub(super) struct Descriptors {
    pub(super) used: u64,
    pub(super) limit: u64,
}

impl Descriptors {
    /// Those of a process, where both are known.
    pub(super) fn of(condition: &Condition) -> Option<Self> {
        Some(Self { used: condition.descriptors?, limit: condition.descriptor_limit? })
    }

    /// Whether hardly any is left.
    pub(super) fn run_out(self) -> bool {
        share(self.used, self.limit) >= NEARLY_ALL
    }

    /// Whether hardly any is left since so many are held: a busy process has others open.
    pub(super) fn run_out_by(self, held: u64) -> bool {
        self.run_out() && share(held, self.used) >= A_LARGE_PART
    }
}
