//! What the processes are that own sockets.

use std::sync::Arc;

use crate::{
    clock::{boottime_ns, monotonic_ns},
    process::{Process, Processes},
};

/// Looks at processes while they live, which for most is long enough: their events are read within a moment.
pub(super) struct Identities {
    processes: Processes,
    /// What the clock of `/proc`, which counts while the host sleeps, is ahead of events'.
    ahead_ns: u64,
}

impl Identities {
    pub(super) fn new() -> Self {
        Self { processes: Processes::new(), ahead_ns: boottime_ns().saturating_sub(monotonic_ns()) }
    }

    /// The process that had this id at the time of an event, if it still lives.
    pub(super) fn process(&mut self, pid: u32, ktime_ns: u64) -> Option<Arc<Process>> {
        let process = self.processes.get(pid)?;
        // A process that is younger than the event got its id from the one that is meant.
        (process.started_ns().saturating_sub(self.ahead_ns) <= ktime_ns).then_some(process)
    }
}
