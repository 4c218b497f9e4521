//! The maps. User space finds them by these names.

use aya_ebpf::{
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray, RingBuf},
};
use tcptrace_common::{BATCH_BYTES, Counters, HalfOpenCounters, Waiting};

/// Records for user space; its size is set by the loader.
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// This CPU's batch, and a second one for what interrupts the work on the first.
#[map]
pub(crate) static BATCHES: PerCpuArray<[u64; BATCH_BYTES / 8]> = PerCpuArray::with_max_entries(2, 0);

/// One slot: how much waits in this CPU's batch.
#[map]
pub(crate) static WAITING: PerCpuArray<Waiting> = PerCpuArray::with_max_entries(1, 0);

/// One slot: this CPU's counters.
#[map]
pub(crate) static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(1, 0);

/// One slot: this CPU's counters of half-open connections.
#[map]
pub(crate) static HALF_OPEN: PerCpuArray<HalfOpenCounters> = PerCpuArray::with_max_entries(1, 0);

/// Local (slot 0) and remote (slot 1) ports that pass, a bit each.
#[map]
pub(crate) static PORTS: Array<[u64; 1024]> = Array::with_max_entries(2, 0);

/// When a socket entered its present state, and its cookie. Kept while a state filter hides transitions from
/// user space, which then could not tell the time in a state. Keyed by socket address.
#[map]
pub(crate) static SINCE: LruHashMap<u64, Since> = LruHashMap::with_max_entries(1, 0);

/// Sockets of the process that the user asked for, by socket address.
#[map]
pub(crate) static OWNED: LruHashMap<u64, u8> = LruHashMap::with_max_entries(1, 0);

/// Where that process listens, and with how many sockets: network namespace in the upper, port in the lower half. Its
/// children start here, in softirq context, where no process is to be seen.
#[map]
pub(crate) static OWNED_PORTS: LruHashMap<u64, u32> = LruHashMap::with_max_entries(1, 0);

/// Processes that have been seen to connect or listen, by [`Task::program`](crate::task::Task::program).
#[map]
pub(crate) static NEWCOMERS: LruHashMap<u64, u8> = LruHashMap::with_max_entries(1, 0);

/// Ids of those that user space is to look at while they live.
#[map]
pub(crate) static ARRIVALS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// Value of [`SINCE`].
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Since {
    /// `bpf_ktime_get_ns()` at the last transition.
    pub(crate) ktime_ns: u64,
    /// The socket's cookie, so that a reused address does not inherit an age.
    pub(crate) cookie: u64,
}

/// This CPU's counters. They are never absent; the verifier wants the check all the same.
#[inline(always)]
pub(crate) fn counters() -> Option<&'static mut Counters> {
    // SAFETY: the slot belongs to this CPU. What interrupts this program there adds to fields that are its own, or in one
    // instruction (`account::add`).
    COUNTERS.get_ptr_mut(0).map(|counters| unsafe { &mut *counters })
}
