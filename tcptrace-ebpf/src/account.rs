//! Counting what the ring had no room for.

use core::arch::asm;

use aya_ebpf::EbpfContext;

use crate::{
    batch::Lost,
    diagnostics,
    maps::{HALF_OPEN, counters},
};

/// Counts records that were counted as delivered when they came, as lost, and tells of it now and then.
#[inline(always)]
pub(crate) fn lost<C: EbpfContext>(ctx: &C, lost: &Lost) {
    count(lost);
    let Some(counters) = counters() else { return };
    let (now, before) = (counters.lost_ring_full, counters.lost_ring_full - lost.transitions);
    // Rare even in a storm: when the count of this CPU gets another binary digit.
    if now ^ before > before {
        diagnostics::ring_full(ctx.as_ptr(), now);
    }
}

/// Counts them. The program of one hook may lose what those of others put into the batch, and interrupt them while
/// they count: so these counters are added to in one instruction, and those of what was delivered are left to the
/// program that they belong to.
#[inline(always)]
pub(crate) fn count(lost: &Lost) {
    if let (Some(counters), Some(half_open)) = (counters(), HALF_OPEN.get_ptr_mut(0)) {
        // SAFETY: fields of map values.
        unsafe {
            add(&raw mut counters.lost_ring_full, lost.transitions);
            add(&raw mut counters.signals_lost, lost.signals);
            add(&raw mut (*half_open).lost_ring_full, lost.half_open);
        }
    }
}

/// Adds to a counter in one instruction: a program on the same CPU may interrupt this one. In assembly, since the
/// target has no atomic types.
///
/// # Safety
/// `counter` lies in a map value.
#[inline(always)]
pub(crate) unsafe fn add(counter: *mut u64, number: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "lock *(u64 *)({counter} + 0) += {number}",
            counter = in(reg) counter,
            number = in(reg) number,
            options(nostack, preserves_flags),
        );
    }
}
