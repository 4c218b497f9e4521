//! What the kernel tells of a loaded program in `/proc/self/fdinfo`.

use std::{fs, os::fd::AsRawFd};

/// How often the kernel did not run the program because it was running already on that CPU
/// (`recursion_misses`); `None` where the kernel does not say.
pub(super) fn missed_runs(program: &impl AsRawFd) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd())).ok()?;
    text.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?.trim().parse().ok()
}
