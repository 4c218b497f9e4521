//! What the processes are that own sockets.

use std::sync::Arc;

use nix::unistd::{SysconfVar, sysconf};

use crate::{
    clock::{boottime_ns, monotonic_ns},
    process::{Process, Processes},
};

/// Looks at processes while they live, which for most is long enough: their events are read within a moment.
pub(super) struct Identities {
    processes: Processes,
    /// Nanoseconds of a tick of `/proc`.
    tick_ns: u64,
    /// What the clock of `/proc`, which counts while the host sleeps, is ahead of events'.
    ahead_ns: u64,
}

impl Identities {
    pub(super) fn new() -> Self {
        let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok());
        Self {
            processes: Processes::new(),
            tick_ns: 1_000_000_000 / ticks.filter(|ticks| *ticks > 0).unwrap_or(100),
            ahead_ns: boottime_ns().saturating_sub(monotonic_ns()),
        }
    }

    /// The process that had this id at the time of an event, if it still lives.
    pub(super) fn process(&mut self, pid: u32, ktime_ns: u64) -> Option<Arc<Process>> {
        let process = self.processes.get(pid)?;
        // A process that is younger than the event got its id from the one that is meant.
        let started_ns = process.start_ticks.saturating_mul(self.tick_ns).saturating_sub(self.ahead_ns);
        (started_ns <= ktime_ns.saturating_add(self.tick_ns)).then_some(process)
    }
}
