//! What the kernel tells of a loaded program in `/proc/self/fdinfo`.

use std::{fs, os::fd::AsRawFd};

/// Runs of a program and their time, while the kernel's statistics are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunStats {
    /// How often it ran.
    pub runs: u64,
    /// For how long, in nanoseconds.
    pub time_ns: u64,
}

/// How often the kernel did not run the program because it was running already on that CPU
/// (`recursion_misses`); `None` where the kernel does not say.
pub(super) fn missed_runs(program: &impl AsRawFd) -> Option<u64> {
    number(&text(program)?, "recursion_misses:")
}

/// The program's runs so far; `None` where the kernel does not say.
pub(super) fn run_stats(program: &impl AsRawFd) -> Option<RunStats> {
    let text = text(program)?;
    Some(RunStats { runs: number(&text, "run_cnt:")?, time_ns: number(&text, "run_time_ns:")? })
}

/// Whether the program was compiled to machine code; `None` where the kernel does not say.
pub(super) fn jited(program: &impl AsRawFd) -> Option<bool> {
    number(&text(program)?, "prog_jited:").map(|jited| jited != 0)
}

fn text(program: &impl AsRawFd) -> Option<String> {
    fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd())).ok()
}

fn number(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}
