//! Never attached: user space runs it on a CPU where records wait, with `BPF_PROG_TEST_RUN`.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::batch;

/// Puts this CPU's batch onto the ring.
#[raw_tracepoint]
pub(crate) fn flush(_ctx: RawTracePointContext) -> i32 {
    batch::flush().cast_signed()
}
