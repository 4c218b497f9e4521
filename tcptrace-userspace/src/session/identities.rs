//! The processes that own sockets, resolved once each.

use std::sync::Arc;

use tcptrace_core::model::{process::Process, text::until_nul};

use super::watch::Watch;
use crate::{
    scan::process::{Life, Processes},
    sys::clock::{boottime_ns, monotonic_ns},
};

/// Reads processes while they live. Most live long enough: their events are read within a moment.
pub(super) struct Identities {
    processes: Processes,
    /// By how much the clock of `/proc`, which counts while the host sleeps, is ahead of that of events.
    ahead_ns: u64,
    /// The thread that reads processes as they come.
    watch: Option<Watch>,
}

impl Identities {
    pub(super) fn new(watch: Option<Watch>) -> Self {
        let ahead_ns = boottime_ns().saturating_sub(monotonic_ns());
        Self { processes: Processes::new(), ahead_ns, watch }
    }

    /// The process that had this id at the time of an event, if it was seen while it lived. `comm` is its name at that
    /// time, NUL-padded, where known.
    pub(super) fn process(
        &mut self,
        pid: u32,
        comm: Option<&[u8; 16]>,
        ktime_ns: u64,
    ) -> Option<Arc<Process>> {
        if let Some(watch) = &self.watch {
            watch.seen().for_each(|seen| self.processes.learn(seen));
        }
        let process = self.processes.of_event(pid, ktime_ns, comm.map(|comm| until_nul(comm)))?;
        self.is_old_enough(&process, ktime_ns).then_some(process)
    }

    /// Whether the process with this id and start, in clock ticks since boot, has ended. `false` where that is
    /// uncertain: without a start, a living process with the id may be another one; and where nothing can be read, the
    /// process may still live.
    pub(super) fn has_ended(&mut self, pid: u32, start_ticks: Option<u64>) -> bool {
        match (self.processes.life(pid), start_ticks) {
            (Life::Ended, _) => true,
            (Life::Lives(now), Some(before)) => now != before,
            (Life::Lives(_), None) | (Life::Unknown, _) => false,
        }
    }

    /// Whether the process is older than the event. A younger process has its id from the process of the event.
    fn is_old_enough(&self, process: &Process, ktime_ns: u64) -> bool {
        process.started_ns().saturating_sub(self.ahead_ns) <= ktime_ns
    }
}
