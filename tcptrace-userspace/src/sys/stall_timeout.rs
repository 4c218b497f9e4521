//! How long to wait for an output that may never take what is left.

use std::time::{Duration, Instant};

/// As long as there is progress within the grace; `P` is how far it has come.
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
