//! The time to wait for an output that may never take the rest.

use std::time::{Duration, Instant};

/// A timeout that starts again with each progress; `P` is the measure of progress.
pub(crate) struct StallTimeout<P> {
    grace: Duration,
    deadline: Instant,
    progress: P,
}

impl<P: PartialEq + Default> StallTimeout<P> {
    pub(crate) fn new(grace: Duration) -> Self {
        Self { grace, deadline: Instant::now() + grace, progress: P::default() }
    }

    /// Whether the grace has passed since there last was progress.
    pub(crate) fn is_over(&mut self, progress: P) -> bool {
        if progress != self.progress {
            self.progress = progress;
            self.deadline = Instant::now() + self.grace;
        }
        Instant::now() >= self.deadline
    }
}
