//! Rare diagnostics for `-v`, kept out of the way of every other transition.

use core::ffi::c_void;

use aya_ebpf::EbpfContext;
use aya_log_ebpf::warn;

/// A program's context, of whatever type.
struct Context(*mut c_void);

impl EbpfContext for Context {
    fn as_ptr(&self) -> *mut c_void {
        self.0
    }
}

/// A state that is not in `include/net/tcp_states.h` as we know it.
#[cold]
#[inline(never)]
pub(crate) fn unknown_state(ctx: *mut c_void, old: u8, new: u8) {
    warn!(&Context(ctx), "unknown TCP state in {} -> {}", old, new);
}

/// The ring had no room, for the `lost`th time on this CPU.
#[cold]
#[inline(never)]
pub(crate) fn ring_full(ctx: *mut c_void, lost: u64) {
    warn!(&Context(ctx), "ring buffer full: {} transitions lost on this CPU", lost);
}
