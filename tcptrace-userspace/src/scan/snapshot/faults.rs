//! What may go wrong with the answers of one namespace.

use tcptrace_core::model::dump::Gaps;

/// What went wrong with the answers of one namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Faults {
    pub(super) interrupted_dumps: usize,
    pub(super) undecodable: usize,
}

impl Faults {
    /// Adds these to what a snapshot lacks.
    pub(super) fn add_to(&self, gaps: &mut Gaps) {
        gaps.interrupted_dumps += self.interrupted_dumps;
        gaps.undecodable += self.undecodable;
    }
}
