//! Never attached: user space runs it on a CPU where records wait, with `BPF_PROG_TEST_RUN`.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::bundle;

/// Puts this CPU's bundle onto the ring.
#[raw_tracepoint]
pub(crate) fn flush(_ctx: RawTracePointContext) -> i32 {
    bundle::flush().cast_signed()
}
