//! What the processes are that own sockets.

use std::sync::Arc;

use nix::unistd::{SysconfVar, sysconf};

use crate::{
    clock::{boottime_ns, monotonic_ns},
    event::Event,
    process::Processes,
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

    /// Notes in an event what its process is, if that owns the socket and still lives.
    pub(super) fn look(&mut self, event: &mut Event) {
        if !event.context_owns {
            return;
        }
        let Some(process) = self.processes.get(event.context.pid) else { return };
        // A process that is younger than the event got its id from the one that is meant.
        let started_ns = process.start_ticks.saturating_mul(self.tick_ns).saturating_sub(self.ahead_ns);
        if started_ns <= event.ktime_ns.saturating_add(self.tick_ns) {
            event.process = Some(Arc::clone(&process));
        }
    }
}
