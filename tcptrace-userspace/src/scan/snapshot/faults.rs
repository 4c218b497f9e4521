//! Faults in the answers of one namespace.

use tcptrace_core::model::dump::Gaps;

/// Counts of faults in the answers of one namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Faults {
    pub(super) interrupted_dumps: usize,
    pub(super) undecodable: usize,
}

impl Faults {
    /// Adds the faults to the gaps of a snapshot.
    pub(super) fn add_to(&self, gaps: &mut Gaps) {
        gaps.interrupted_dumps += self.interrupted_dumps;
        gaps.undecodable += self.undecodable;
    }
}
