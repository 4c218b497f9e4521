//! `tp_btf/tcp_retransmit_synack`: no ACK came, so the SYN-ACK goes out once more.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tcptrace_common::HALF_OPEN_RETRANSMIT;

use super::tp_btf::BtfSock;
use crate::{
    half_open::{self, Seen},
    sock::Sock as _,
};

/// `TP_PROTO(const struct sock *sk, const struct request_sock *req)`.
#[btf_tracepoint(function = "tcp_retransmit_synack")]
#[expect(clippy::needless_pass_by_value, reason = "the macro passes it so")]
pub(crate) fn synack(ctx: BtfTracePointContext) -> i32 {
    // A request socket has its fields where a socket has them.
    let request = BtfSock::common(ctx.arg(1));
    half_open::report(HALF_OPEN_RETRANSMIT, || Seen {
        what: HALF_OPEN_RETRANSMIT,
        tuple: request.tuple(),
        netns: request.netns(),
        netns_cookie: 0,
        cookie: request.cookie(),
    });
    0
}
