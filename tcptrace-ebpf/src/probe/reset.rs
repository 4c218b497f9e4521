//! Resets: `tcp:tcp_send_reset` and `tcp:tcp_receive_reset`. The socket tells that it was aborted, but not why this
//! side sent a reset, nor that a connection in FIN_WAIT2 ended with one. Both are optional.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tcptrace_common::{KIND_RESET, Known, ResetRecord, TCP_CLOSE};

use super::tp_btf::BtfSock;
use crate::{config::known, sampling, signal, sock::Sock as _};

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
fn report(ctx: &BtfTracePointContext, sk: *const u8, sent: u16, reason: u32) {
    if sk.is_null() {
        return;
    }
    // The socket may have closed already.
    let sock = BtfSock::new(sk, i32::from(TCP_CLOSE));
    let tuple = sock.tuple();
    let is_left_out = sampling::leaves_out(|| sampling::key(sock.cookie(), tuple.lport, tuple.rport));
    signal::send(ctx, is_left_out, |ktime_ns| ResetRecord {
        kind: KIND_RESET,
        sent,
        reason,
        ktime_ns,
        skaddr: sk as u64,
        cookie: sock.cookie(),
        lport: tuple.lport,
        rport: tuple.rport,
        reserved: 0,
    });
}
