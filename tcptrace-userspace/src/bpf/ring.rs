//! The size of the ring buffer.

use nix::unistd::{SysconfVar, sysconf};
use tcptrace_common::{BATCH_BYTES, LARGEST_RECORD, TransitionRecord};

/// The smallest default size, in bytes; `docs/overhead-and-loss.md` has the measurement behind it.
const DEFAULT: u64 = 4 << 20;

/// One part in this many of the ring is the reserve. It holds the batches of all CPUs, once the kernel side sends
/// nothing else.
const RESERVE: u64 = 16;

/// The largest ring that the kernel can address, in bytes.
pub const MAX_BUFFER: u64 = 1 << 30;

// A replay keeps as many records as a ring has, with their positions.
const _: () = assert!(2 * MAX_BUFFER <= tcptrace_core::capture::MOST_WAITING);

/// Default size of the ring in bytes: its reserve can hold a batch of each CPU.
pub fn default_buffer() -> u64 {
    default_for(cpus())
}

fn default_for(cpus: u64) -> u64 {
    (cpus * BATCH_BYTES as u64 * RESERVE).max(DEFAULT)
}

/// CPUs that are online.
pub(super) fn cpus() -> u64 {
    of_system(SysconfVar::_NPROCESSORS_ONLN).unwrap_or(1)
}

/// Bytes that a batch may have and still wait. The batches of all CPUs fit into the reserve of this ring.
pub(super) fn batch(ring: u32, cpus: u64) -> u32 {
    let share = u64::from(ring) / RESERVE / cpus.max(1);
    let full = share.min(BATCH_BYTES as u64).saturating_sub(LARGEST_RECORD as u64);
    u32::try_from(full).unwrap_or(0)
}

fn of_system(what: SysconfVar) -> Option<u64> {
    sysconf(what).ok().flatten().and_then(|value| u64::try_from(value).ok())
}

/// Rounds a requested size up to one that the kernel takes: a power of two, and whole pages.
pub fn ring_size(wanted: u64) -> u32 {
    let page = of_system(SysconfVar::PAGE_SIZE).unwrap_or(4096);
    let size = wanted.clamp(page, MAX_BUFFER).next_power_of_two();
    u32::try_from(size).unwrap_or(1 << 30)
}

/// Unread bytes at which the kernel side wakes the reader early: a quarter of the ring. The other three quarters hold
/// what arrives until the reader runs.
pub(super) fn watermark(ring: u32) -> u32 {
    (ring / 4).max(u32::try_from(size_of::<TransitionRecord>()).unwrap_or(128))
}

#[cfg(test)]
mod tests {
    use tcptrace_common::BATCH_FULL;

    use super::*;

    #[test]
    fn sizes_are_rounded_up_and_bounded() {
        assert_eq!(ring_size(0), ring_size(1));
        assert_eq!(ring_size(5 << 20), 8 << 20);
        assert_eq!(ring_size(8 << 20), 8 << 20);
        assert_eq!(ring_size(u64::MAX), 1 << 30);
    }

    #[test]
    fn the_reserve_has_room_for_all_bundles() {
        assert_eq!((default_for(1), default_for(64), default_for(65)), (4 << 20, 4 << 20, 65 << 16));
        for cpus in [1, 2, 64, 65, 4_096] {
            let ring = ring_size(default_for(cpus));
            assert_eq!(batch(ring, cpus) as usize, BATCH_FULL, "{cpus}");
            // Small ones, of any size.
            for ring in (12..22).map(|bits| 1 << bits) {
                let full = u64::from(batch(ring, cpus));
                let most = if full == 0 { 0 } else { full + LARGEST_RECORD as u64 };
                assert!(most * cpus * RESERVE <= u64::from(ring), "{ring} {cpus}");
            }
        }
        assert_eq!(batch(4096, 2), 0);
    }
}
