//! The size of the ring buffer.

use tcptrace_common::TransitionRecord;

/// Default size in bytes; `docs/overhead-and-loss.md` has the measurement behind it.
pub const DEFAULT_BUFFER: u64 = 4 << 20;

/// The largest ring that the kernel can address, in bytes.
pub const MAX_BUFFER: u64 = 1 << 30;

/// Rounds a wanted size up to what the kernel takes: a power of two, and whole pages.
pub fn ring_size(wanted: u64) -> u32 {
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|page| u64::try_from(page).ok())
        .unwrap_or(4096);
    let size = wanted.clamp(page, MAX_BUFFER).next_power_of_two();
    u32::try_from(size).unwrap_or(1 << 30)
}

/// Unread bytes at which the kernel side wakes the reader before its time: a quarter, so that three quarters
/// are left for what arrives until it runs.
pub(super) fn watermark(ring: u32) -> u32 {
    (ring / 4).max(u32::try_from(size_of::<TransitionRecord>()).unwrap_or(128))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_and_bounded() {
        assert_eq!(ring_size(0), ring_size(1));
        assert_eq!(ring_size(5 << 20), 8 << 20);
        assert_eq!(ring_size(8 << 20), 8 << 20);
        assert_eq!(ring_size(u64::MAX), 1 << 30);
    }
}
