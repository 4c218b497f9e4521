//! The cost of tracing on this host: the kernel's own statistics of our program and of an empty one, under a small load
//! on loopback in a network namespace of its own.
//!
//! The statistics are on as long as a descriptor is open, so a kill switches them off, too.

mod churn;
mod namespace;

use std::{cell::RefCell, io, thread};

use aya::sys::{Stats, enable_stats};
use serde::Serialize;
use tcptrace_core::model::hooks::Hook;
use thiserror::Error;

use crate::bpf::{self, Options, RunStats};

/// Slices of which the median counts. The kernel adds the time of an interrupt, or of the hypervisor, to the program
/// that it interrupts. That spoils one slice only.
const SLICES: usize = 5;
/// Connections of a slice, about ten transitions each.
const CONNECTIONS: u32 = 400;

/// The cost of a transition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// The hook.
    pub hook: Hook,
    /// Kernel time of a run of the program in nanoseconds, the statistics' own clock reads included.
    pub ns_per_transition: u64,
    /// The same for an empty program on the same event; `None` where it could not be loaded.
    pub empty_ns: Option<u64>,
    /// The difference: the cost of the program itself.
    pub above_empty_ns: Option<u64>,
    /// Transitions that the program was measured with.
    pub transitions: u64,
}

/// The reason why the cost could not be measured.
#[derive(Debug, Error)]
pub enum MeasureError {
    /// The statistics cannot be switched on.
    #[error("the kernel's statistics of programs cannot be switched on (that takes CAP_SYS_ADMIN)")]
    Statistics(#[source] aya::sys::SyscallError),
    /// The namespace cannot be created.
    #[error("no network namespace of its own (that takes CAP_SYS_ADMIN)")]
    Namespace(#[source] io::Error),
    /// The load failed.
    #[error("the load on loopback failed")]
    Load(#[source] io::Error),
    /// The program cannot be loaded.
    #[error(transparent)]
    Bpf(#[from] bpf::Error),
    /// The kernel reports no run times.
    #[error("the kernel reports no run times of the program")]
    NoFigures,
}

/// Measures with this hook, in about a second.
///
/// # Errors
/// [`MeasureError`].
pub(super) fn run(hook: Hook) -> Result<Cost, MeasureError> {
    // The namespace belongs to a thread and ends with it.
    thread::scope(|scope| scope.spawn(|| measure(hook)).join())
        .unwrap_or_else(|_| Err(MeasureError::Load(io::Error::other("its thread ended early"))))
}

fn measure(hook: Hook) -> Result<Cost, MeasureError> {
    namespace::enter().map_err(MeasureError::Namespace)?;
    let _statistics = enable_stats(Stats::RunTime).map_err(MeasureError::Statistics)?;
    // A warm-up for the caches, which does not count.
    churn::run(CONNECTIONS).map_err(MeasureError::Load)?;
    let empty_ns = match bpf::load_floor() {
        Ok(floor) => Some(median(|| floor.run_stats(), || {})?.0),
        Err(_) => None,
    };
    let tracer = RefCell::new(bpf::load(&Options { hook: Some(hook), ..Options::default() })?);
    let (ns_per_transition, transitions) = median(
        || tracer.borrow().run_stats(),
        || {
            tracer.borrow().flush();
            tracer.borrow_mut().drain(|_| true);
        },
    )?;
    let above_empty_ns = empty_ns.map(|empty| ns_per_transition.saturating_sub(empty));
    Ok(Cost { hook, ns_per_transition, empty_ns, above_empty_ns, transitions })
}

/// Nanoseconds per run in the median slice, and runs in all slices. Calls `after` after each slice.
fn median(stats: impl Fn() -> Option<RunStats>, after: impl Fn()) -> Result<(u64, u64), MeasureError> {
    let read = || stats().ok_or(MeasureError::NoFigures);
    let (mut slices, mut all) = (Vec::new(), 0);
    for _ in 0..SLICES {
        let before = read()?;
        churn::run(CONNECTIONS).map_err(MeasureError::Load)?;
        let now = read()?;
        let runs = now.runs.saturating_sub(before.runs);
        slices.extend(now.time_ns.saturating_sub(before.time_ns).checked_div(runs));
        all += runs;
        after();
    }
    slices.sort_unstable();
    Ok((*slices.get(slices.len() / 2).ok_or(MeasureError::NoFigures)?, all))
}
