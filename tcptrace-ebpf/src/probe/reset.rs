//! Resets: `tcp:tcp_send_reset` and `tcp:tcp_receive_reset`. The socket tells that it was aborted, but not why this
//! side sent a reset, nor that a connection in FIN_WAIT2 ended with one. Both are optional.

use aya_ebpf::{
    EbpfContext, helpers::generated::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use tcptrace_common::{KIND_RESET, Known, ResetRecord};

use super::tp_btf::BtfSock;
use crate::{
    account,
    bundle::{Class, Lost, Room},
    config::known,
    maps::counters,
    sock::Sock as _,
};

/// `TP_PROTO(const struct sock *sk, const struct sk_buff *skb, const enum sk_rst_reason reason)`; before Linux 6.10
/// without the reason.
#[btf_tracepoint(function = "tcp_send_reset")]
#[expect(clippy::needless_pass_by_value, reason = "the macro passes it so")]
pub(crate) fn send_reset(ctx: BtfTracePointContext) -> i32 {
    let reason: u32 = if known(Known::RESET_REASON) { ctx.arg(2) } else { 0 };
    report(&ctx, ctx.arg(0), 1, reason);
    0
}

/// `TP_PROTO(struct sock *sk)`.
#[btf_tracepoint(function = "tcp_receive_reset")]
#[expect(clippy::needless_pass_by_value, reason = "the macro passes it so")]
pub(crate) fn receive_reset(ctx: BtfTracePointContext) -> i32 {
    report(&ctx, ctx.arg(0), 0, 0);
    0
}

/// Sends a record, unless the reset belongs to no socket.
#[inline(always)]
fn report<C: EbpfContext>(ctx: &C, sk: *const u8, sent: u16, reason: u32) {
    if sk.is_null() {
        return;
    }
    let Some(counters) = counters() else { return };
    counters.resets_delivered += 1;
    if let Err(lost) = emit(sk, sent, reason) {
        account::lost(ctx, &lost);
    }
}

#[inline(always)]
fn emit(sk: *const u8, sent: u16, reason: u32) -> Result<(), Lost> {
    // SAFETY: no arguments.
    let ktime_ns = unsafe { bpf_ktime_get_ns() };
    let Some(room) = Room::take() else { return Err(Lost::one(Class::Reset)) };
    let cookie = BtfSock::common(sk).cookie();
    let record = ResetRecord { kind: KIND_RESET, sent, reason, ktime_ns, skaddr: sk as u64, cookie };
    // SAFETY: there is room for a larger record.
    unsafe { room.record().cast::<ResetRecord>().write(record) };
    room.add(size_of::<ResetRecord>(), Class::Reset)
}
