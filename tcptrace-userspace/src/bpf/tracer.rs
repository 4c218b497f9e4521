//! A running kernel side: its ring, its counters, its program.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use aya::{
    Ebpf,
    maps::{MapData, PerCpuArray},
    programs::{Program, ProgramFd},
};
use aya_log::EbpfLogger;
use tcptrace_common::{Config, Counters, HalfOpenCounters, Level};
use tcptrace_core::model::hooks::{HalfOpenHooks, Hook, ResetReasons};

use super::{
    Arrivals, Error, Features, RunStats,
    batches::Batches,
    boundary::{Entries, PodCounters},
    fdinfo,
    half_open::{self, HalfOpen},
    object::of_hook,
    release,
    shared::Shared,
    signals::{self, Signals},
};

/// The attached kernel side. Dropping it detaches it. Nothing is pinned, so nothing stays attached after a kill.
pub struct Tracer {
    ebpf: Ebpf,
    hook: Hook,
    features: Features,
    unowned: Option<String>,
    ring_bytes: u32,
    events: Entries,
    batches: Option<Batches>,
    counters: PerCpuArray<MapData, PodCounters>,
    half_open: Option<HalfOpen>,
    shared: Shared,
    arrivals: Option<Arrivals>,
    log: Option<EbpfLogger<&'static dyn log::Log>>,
    /// A descriptor of our own, to ask for missed runs after detaching.
    program: fdinfo::Program<ProgramFd>,
    /// Whether the number of missed runs is valid on this kernel.
    keeps_missed_runs: bool,
    reasons: ResetReasons,
    signals: Signals,
}

impl Tracer {
    pub(super) fn new(
        mut ebpf: Ebpf,
        (hook, features, unowned): (Hook, Features, Option<String>),
        ring_bytes: u32,
        events: Entries,
        batches: Option<Batches>,
        (counters, half_open): (PerCpuArray<MapData, PodCounters>, Option<HalfOpen>),
        log: Option<EbpfLogger<&'static dyn log::Log>>,
    ) -> Result<Self, Error> {
        let shared = Shared::new(&mut ebpf)?;
        let arrivals = Arrivals::open(&mut ebpf)?;
        let program = match ebpf.program_mut(of_hook(hook)) {
            Some(Program::BtfTracePoint(program)) => program.fd(),
            Some(Program::TracePoint(program)) => program.fd(),
            _ => return Err(Error::Object(format!("no program {}", of_hook(hook)))),
        };
        let program = program
            .and_then(|fd| fd.try_clone().map_err(Into::into))
            .map_err(|error| Error::Object(error.to_string()))?;
        let keeps_missed_runs = release::keeps_missed_runs(hook, &release::running());
        Ok(Self {
            ebpf,
            hook,
            features,
            unowned,
            ring_bytes,
            events,
            batches,
            counters,
            half_open,
            shared,
            arrivals: Some(arrivals),
            log,
            program: fdinfo::Program::new(program),
            keeps_missed_runs,
            reasons: ResetReasons::new(),
            signals: Signals::default(),
        })
    }

    /// Attaches the hooks on signals; `reasons` are the kernel's names of the reasons for resets.
    pub(super) fn attach_signals(
        &mut self,
        config: &Config,
        types: Option<&aya::Btf>,
        reasons: ResetReasons,
    ) {
        let (signals, features) = Signals::attach(&mut self.ebpf, self.hook, config, types);
        self.features = self.features.with(&features);
        (self.signals, self.reasons) = (signals, reasons);
    }

    /// Processes that connect or listen for the first time; `None` when it has been taken already.
    pub fn take_arrivals(&mut self) -> Option<Arrivals> {
        self.arrivals.take()
    }

    /// The kernel's names of the reasons for resets.
    pub fn reset_reasons(&self) -> &ResetReasons {
        &self.reasons
    }

    /// The hook in use.
    pub fn hook(&self) -> Hook {
        self.hook
    }

    /// The features of the program.
    pub fn features(&self) -> Features {
        self.features
    }

    /// The reason why pre-existing sockets of the process that the filter names are unknown; `None` when they are
    /// known, or there is no such filter.
    pub fn unowned(&self) -> Option<&str> {
        self.unowned.as_deref()
    }

    /// Size of the ring buffer in bytes.
    pub fn ring_bytes(&self) -> u32 {
        self.ring_bytes
    }

    /// Puts the batches of all CPUs on the ring; `false` when some records still wait, so that it must be tried again.
    pub fn flush(&self) -> bool {
        self.batches.as_ref().is_none_or(|batches| batches.flush(&self.ebpf))
    }

    /// Hands the entries that are on the ring now to `take`, until that returns `false`. An entry has one record or
    /// several. Returns `false` when it did not get all of them.
    pub fn drain(&mut self, take: impl FnMut(&[u8]) -> bool) -> bool {
        self.events.drain(take)
    }

    /// Passes the kernel side's diagnostics to the `log` crate.
    pub fn flush_log(&mut self) {
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }

    /// The counters of all CPUs together.
    ///
    /// # Errors
    /// [`Error::Counters`].
    pub fn counters(&self) -> Result<Counters, Error> {
        let cpus = self.counters.get(&0, 0).map_err(|error| Error::Counters(error.to_string()))?;
        let mut sum = Counters::ZERO;
        for cpu in cpus.iter() {
            sum.add(&cpu.0);
        }
        // The kernel side counts a record as delivered when it puts it into a batch.
        sum.delivered = sum.delivered.saturating_sub(sum.lost_ring_full);
        sum.signals_delivered = sum.signals_delivered.saturating_sub(sum.signals_lost);
        Ok(sum)
    }

    /// The programs that see half-open connections; `None` when these were not requested.
    pub fn half_open(&self) -> Option<&HalfOpenHooks> {
        self.half_open.as_ref().map(HalfOpen::hooks)
    }

    /// Retransmitted SYN-ACKs that the kernel did not run the program for; 0 where it does not report that.
    pub fn half_open_missed_runs(&self) -> u64 {
        self.half_open.as_ref().map_or(0, HalfOpen::missed_runs)
    }

    /// The counters of half-open connections, of all CPUs together; zero when these were not requested.
    ///
    /// # Errors
    /// [`Error::Counters`].
    pub fn half_open_counters(&self) -> Result<HalfOpenCounters, Error> {
        self.half_open.as_ref().map_or_else(|| Ok(HalfOpenCounters::default()), HalfOpen::counters)
    }

    /// The present level of sampling; the kernel side raises it when the ring fills.
    ///
    /// # Errors
    /// [`Error::Counters`].
    pub fn level(&self) -> Result<Level, Error> {
        self.shared.level()
    }

    /// Sets the level of sampling.
    ///
    /// # Errors
    /// [`Error::Counters`].
    pub fn set_level(&mut self, level: Level) -> Result<(), Error> {
        self.shared.set_level(level)
    }

    /// Has the next record wake the reader at once, without a wait in a batch.
    ///
    /// # Errors
    /// [`Error::Counters`].
    pub fn fall_asleep(&mut self) -> Result<(), Error> {
        self.shared.fall_asleep()
    }

    /// Runs of the program that the kernel skipped; `None` where it does not report them.
    pub fn missed_runs(&self) -> Option<u64> {
        let missed = self.program.missed_runs()?;
        (self.keeps_missed_runs || missed > 0).then_some(missed)
    }

    /// Signals that the kernel did not run their programs for; 0 where it does not report that.
    pub fn missed_signals(&self) -> u64 {
        self.signals.missed_runs()
    }

    /// Runs of the program so far, while the kernel's statistics are on; `None` where it does not report them.
    pub fn run_stats(&self) -> Option<RunStats> {
        self.program.run_stats()
    }

    /// Whether the kernel compiled the program to machine code; `None` where it does not report it.
    pub fn jited(&self) -> Option<bool> {
        self.program.jited()
    }

    /// Detaches the programs: nothing new is counted or sent. The records that are there can still be flushed and
    /// drained.
    pub fn detach(&mut self) {
        // Only a program that is not loaded cannot be unloaded.
        let _ = match self.ebpf.program_mut(of_hook(self.hook)) {
            Some(Program::BtfTracePoint(program)) => program.unload(),
            Some(Program::TracePoint(program)) => program.unload(),
            _ => Ok(()),
        };
        signals::detach(&mut self.ebpf);
        half_open::detach(&mut self.ebpf);
    }

    /// A descriptor of the ring, which becomes readable when the kernel side reports that the ring fills up.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn wakeups(&self) -> io::Result<OwnedFd> {
        self.events.as_fd().try_clone_to_owned()
    }
}
