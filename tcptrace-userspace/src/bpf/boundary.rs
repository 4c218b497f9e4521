//! The boundary: types that cross that of a map as bytes, descriptors as something to wait for, and a system call that
//! no library offers. The only `unsafe` of user space.

#![expect(unsafe_code, reason = "aya, tokio and the kernel ask for promises that the compiler cannot check")]

use std::{io, os::fd::OwnedFd};

use tcptrace_common::{Config, Counters, Waiting};
use tokio::io::{Interest, unix::AsyncFd};

/// Settings on their way into the kernel object.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct PodConfig(pub(super) Config);

/// One CPU's counters on their way out of the kernel.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct PodCounters(pub(super) Counters);

/// How much waits on one CPU, on its way out of the kernel.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct PodWaiting(pub(super) Waiting);

// SAFETY: `#[repr(C)]`, integers only, and no padding: tcptrace-common asserts the size as the sum of them.
unsafe impl aya::Pod for PodConfig {}

// SAFETY: as above.
unsafe impl aya::Pod for PodCounters {}

// SAFETY: as above.
unsafe impl aya::Pod for PodWaiting {}

/// Registers a descriptor with the tokio runtime.
///
/// # Errors
/// When it cannot be waited for.
pub fn waitable(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned, so it is open and always the same for as long as it is registered.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(Into::into)
}

/// Whether two threads have one table of descriptors. `false` also when that cannot be found out: where the kernel
/// has no `kcmp()`, or when one of them is gone or may not be looked into.
pub(crate) fn shares_descriptors(pid: u32, tid: u32) -> bool {
    /// `KCMP_FILES`, `include/uapi/linux/kcmp.h`.
    const KCMP_FILES: nix::libc::c_int = 2;
    // SAFETY: takes numbers only, and changes nothing.
    unsafe { nix::libc::syscall(nix::libc::SYS_kcmp, pid, tid, KCMP_FILES, 0_u64, 0_u64) == 0 }
}
