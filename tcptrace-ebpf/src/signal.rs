//! The road of a signal: count, emit. Filters are user space's, where a signal is put to its connection.

use aya_ebpf::{EbpfContext, helpers::generated::bpf_ktime_get_ns};

use crate::{
    account,
    batch::{Class, Lost, Slot},
    maps::counters,
};

/// Sends the record that `record` makes of the time, unless it is left out.
#[inline(always)]
pub(crate) fn send<C: EbpfContext, R>(ctx: &C, is_left_out: bool, record: impl FnOnce(u64) -> R) {
    let Some(counters) = counters() else { return };
    if is_left_out {
        // SAFETY: a field of a map value.
        return unsafe { account::add(&raw mut counters.signals_sampled_out, 1) };
    }
    // SAFETY: as above.
    unsafe { account::add(&raw mut counters.signals_delivered, 1) };
    if let Err(lost) = emit(record) {
        account::lost(ctx, &lost);
    }
}

#[inline(always)]
fn emit<R>(record: impl FnOnce(u64) -> R) -> Result<(), Lost> {
    const { assert!(size_of::<R>() <= size_of::<tcptrace_common::ClosingRecord>()) };
    // SAFETY: no arguments.
    let record = record(unsafe { bpf_ktime_get_ns() });
    let Some(slot) = Slot::take() else { return Err(Lost::one(Class::Signal)) };
    // SAFETY: there is room for a larger record.
    unsafe { slot.record().cast::<R>().write(record) };
    slot.add(size_of::<R>(), Class::Signal)
}
