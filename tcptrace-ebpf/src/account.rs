//! Counting what the ring had no room for.

use core::arch::asm;

use aya_ebpf::EbpfContext;
use tcptrace_common::Counters;

use crate::{bundle::Lost, diagnostics};

/// Counts records that were counted as delivered when they came, as lost. The program of one hook may lose what that
/// of another one put into the bundle, and interrupt it while it counts: so these are added to in one instruction,
/// and the counters of what was delivered are left to their own program.
#[inline(always)]
pub(crate) fn lost<C: EbpfContext>(ctx: &C, counters: &mut Counters, lost: Lost) {
    add(&mut counters.lost_ring_full, lost.transitions);
    add(&mut counters.others_lost, lost.others);
    let (now, before) = (counters.lost_ring_full, counters.lost_ring_full - lost.transitions);
    // Rare even in a storm: when the count of this CPU gets another binary digit.
    if now ^ before > before {
        diagnostics::ring_full(ctx.as_ptr(), now);
    }
}

/// In assembly, since the target has no atomic types.
#[inline(always)]
fn add(counter: &mut u64, records: u64) {
    // SAFETY: an aligned word of a map value.
    unsafe {
        asm!(
            "lock *(u64 *)({counter} + 0) += {records}",
            counter = in(reg) counter,
            records = in(reg) records,
            options(nostack, preserves_flags),
        );
    }
}
