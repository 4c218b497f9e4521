//! The boundary: types that cross a map's boundary as bytes, descriptors to wait for, and system calls that no library
//! offers. This is the only `unsafe` code of user space.

#![expect(unsafe_code, reason = "aya, tokio and the kernel ask for promises that the compiler cannot check")]

mod entries;

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use tcptrace_common::{Config, Counters, HalfOpenCounters, Waiting};
use tokio::io::{Interest, unix::AsyncFd};

pub(super) use entries::Entries;

/// One CPU's counters on their way out of the kernel.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct PodCounters(pub(super) Counters);

/// One CPU's counters of half-open connections on their way out of the kernel.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct PodHalfOpenCounters(pub(super) HalfOpenCounters);

/// The size of a CPU's waiting batch, on its way out of the kernel.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct PodWaiting(pub(super) Waiting);

// SAFETY: `#[repr(C)]`, integers only, and no padding: tcptrace-common asserts the size as the sum of them.
unsafe impl aya::Pod for PodCounters {}

// SAFETY: as above.
unsafe impl aya::Pod for PodHalfOpenCounters {}

// SAFETY: as above.
unsafe impl aya::Pod for PodWaiting {}

/// The settings as the kernel object holds them.
pub(super) fn config_bytes(config: &Config) -> &[u8] {
    // SAFETY: `#[repr(C)]`, integers only, and no padding: tcptrace-common asserts the size as the sum of them.
    unsafe { std::slice::from_raw_parts((&raw const *config).cast(), size_of::<Config>()) }
}

/// Registers a descriptor with the tokio runtime.
///
/// # Errors
/// When it cannot be waited for.
pub fn waitable(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned, so it is open and always the same for as long as it is registered.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(Into::into)
}

/// Whether two threads share a table of descriptors. `false` also when that is unknown: where the kernel has no
/// `kcmp()`, or when one of them is gone or may not be accessed.
pub(crate) fn shares_descriptors(pid: u32, tid: u32) -> bool {
    /// `KCMP_FILES`, `include/uapi/linux/kcmp.h`.
    const KCMP_FILES: nix::libc::c_int = 2;
    // SAFETY: takes numbers only, and changes nothing.
    unsafe { nix::libc::syscall(nix::libc::SYS_kcmp, pid, tid, KCMP_FILES, 0_u64, 0_u64) == 0 }
}

/// Has the calling thread run before all ordinary threads whenever it wakes up. Returns whether that is allowed. It is
/// for a thread that sleeps nearly always. A nice value would not help: other threads first use up their time slices.
pub(crate) fn run_at_once() -> bool {
    /// `struct sched_param` of the kernel; that of musl has more fields at its end.
    #[repr(C)]
    struct Param {
        sched_priority: nix::libc::c_int,
    }
    let param = Param { sched_priority: 1 };
    let policy = nix::libc::SCHED_FIFO | nix::libc::SCHED_RESET_ON_FORK;
    // SAFETY: the kernel reads `param`. The C library's function does nothing in musl.
    unsafe { nix::libc::syscall(nix::libc::SYS_sched_setscheduler, 0, policy, &raw const param) == 0 }
}

/// Has the allocator give back large blocks that are freed. By default glibc's allocator keeps twice as much as the
/// largest block that was ever freed, and the kernel's type information is large. Other allocators keep little.
pub(crate) fn keep_little_memory() {
    #[cfg(target_env = "gnu")]
    for threshold in [nix::libc::M_MMAP_THRESHOLD, nix::libc::M_TRIM_THRESHOLD] {
        // SAFETY: takes numbers only; allocations that exist do not change.
        unsafe {
            nix::libc::mallopt(threshold, 512 << 10);
        }
    }
}

/// The kernel's cookie of the network namespace that a socket is in; `None` before Linux 5.14.
pub(crate) fn netns_cookie(socket: &OwnedFd) -> Option<u64> {
    let mut cookie = 0_u64;
    let mut size = nix::libc::socklen_t::try_from(size_of::<u64>()).ok()?;
    // SAFETY: the kernel writes at most `size` bytes to `cookie`, and how many to `size`.
    let outcome = unsafe {
        nix::libc::getsockopt(
            socket.as_raw_fd(),
            nix::libc::SOL_SOCKET,
            nix::libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut size,
        )
    };
    (outcome == 0 && cookie != 0).then_some(cookie)
}
