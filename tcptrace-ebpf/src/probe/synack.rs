//! `tp_btf/tcp_retransmit_synack`: no ACK came, so the SYN-ACK goes out once more.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tcptrace_common::{AF_INET, Address, HALF_OPEN_RETRANSMIT, Known};

use crate::{
    config::known,
    half_open::{self, Seen},
    sock::Tuple,
    typed::{cookie, load},
};

/// `TP_PROTO(const struct sock *sk, const struct request_sock *req)`.
#[btf_tracepoint(function = "tcp_retransmit_synack")]
#[expect(clippy::needless_pass_by_value, reason = "the macro passes it so")]
pub(crate) fn synack(ctx: BtfTracePointContext) -> i32 {
    let request: *const u8 = ctx.arg(1);
    half_open::report(HALF_OPEN_RETRANSMIT, || Seen {
        what: HALF_OPEN_RETRANSMIT,
        tuple: tuple(request),
        netns: netns(request),
        netns_cookie: 0,
        // SAFETY: the typed pointer.
        cookie: unsafe { cookie(request) },
    });
    0
}

/// A request socket begins with the same `struct sock_common` as a socket, so the fields lie where a socket's do.
#[inline(always)]
fn tuple(request: *const u8) -> Tuple {
    // SAFETY: fields of struct sock_common.
    unsafe {
        let family: u16 = load!(request, sock.family);
        let rport: u16 = load!(request, sock.dport);
        let (laddr, raddr) = if family == AF_INET {
            let saddr: u32 = load!(request, sock.rcv_saddr);
            let daddr: u32 = load!(request, sock.daddr);
            (Address::from_v4(saddr.to_ne_bytes()), Address::from_v4(daddr.to_ne_bytes()))
        } else {
            (
                Address { words: [load!(request, sock.v6_rcv_saddr), load!(request, sock.v6_rcv_saddr + 8)] },
                Address { words: [load!(request, sock.v6_daddr), load!(request, sock.v6_daddr + 8)] },
            )
        };
        Tuple { family, lport: load!(request, sock.num), rport: u16::from_be(rport), laddr, raddr }
    }
}

#[inline(always)]
fn netns(request: *const u8) -> u32 {
    if !known(Known::NETNS) {
        return 0;
    }
    // SAFETY: the pointer to struct net is typed as well.
    unsafe {
        let net: *const u8 = load!(request, sock.net);
        load!(net, sock.net_inum)
    }
}
