//! Batches: records that wait on their CPU, to go onto the ring together.

use aya::{
    Ebpf,
    maps::{MapData, PerCpuArray},
    programs::{Program, ProgramError, RawTracePoint, RawTracePointRunOptions, TestRun as _},
};
use tcptrace_common::Flushed;

use super::boundary::PodWaiting;

/// The program that flushes a CPU.
pub(super) const PROGRAM: &str = "flush";

/// Tries to flush a CPU whose batch is in use; the use takes no longer than a try.
const TRIES: usize = 3;

/// The batches of all CPUs.
pub(super) struct Batches {
    waiting: PerCpuArray<MapData, PodWaiting>,
}

impl Batches {
    /// Loads the program that flushes, and runs it once to check that the kernel can: Linux 5.10 and newer can.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(super) fn new(
        program: &mut RawTracePoint,
        waiting: PerCpuArray<MapData, PodWaiting>,
    ) -> Result<Self, ProgramError> {
        program.load()?;
        run(program, 0)?;
        Ok(Self { waiting })
    }

    /// Flushes the CPUs on which records wait; `false` when some records still wait.
    pub(super) fn flush(&self, ebpf: &Ebpf) -> bool {
        let Some(Program::RawTracePoint(program)) = ebpf.program(PROGRAM) else { return false };
        let Ok(cpus) = self.waiting.get(&0, 0) else { return false };
        let mut all = true;
        for (cpu, PodWaiting(waiting)) in (0..).zip(cpus.iter()) {
            if waiting.bytes > 0 || waiting.busy != 0 {
                // The only error left is that the CPU was taken offline; its records wait until it is back.
                all &= (0..TRIES).any(|_| !matches!(run(program, cpu), Ok(Flushed::BUSY | Flushed::NO_ROOM)));
            }
        }
        all
    }
}

/// Runs the program once on this CPU. That costs an interrupt there; on the calling CPU not even that.
fn run(program: &RawTracePoint, cpu: u32) -> Result<u32, ProgramError> {
    let options = RawTracePointRunOptions { cpu: Some(cpu), ..RawTracePointRunOptions::new() };
    program.test_run(options).map(|result| result.return_value)
}
