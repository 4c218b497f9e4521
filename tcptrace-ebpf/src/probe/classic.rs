//! The classic tracepoints of signals, for kernels without type information and for `--hook tracepoint`. What is read
//! of a record lies where its `format` says; the loader leaves out events that lack something.

use core::hint::black_box;

use aya_ebpf::{
    EbpfContext as _, helpers::bpf_probe_read_kernel, macros::tracepoint, programs::TracePointContext,
};
use tcptrace_common::{
    AF_INET, AF_INET6, Address, EndsLayout, ErrorRecord, HALF_OPEN_RETRANSMIT, IPPROTO_TCP, KIND_ERROR,
    KIND_RESET, KIND_RETRANSMIT, Known, ResetRecord, RetransmitRecord,
};

use crate::{
    config::{config, known},
    half_open::{self, Seen},
    sampling, signal,
    sock::Tuple,
};

#[tracepoint(category = "tcp", name = "tcp_send_reset")]
#[expect(clippy::needless_pass_by_value, reason = "the macro passes it so")]
pub(crate) fn send_reset_tp(ctx: TracePointContext) -> u32 {
    let reason: u32 = if known(Known::RESET_REASON) { field(&ctx, config().signals.reset_reason) } else { 0 };
    reset(&ctx, config().signals.send_reset, 1, reason);
    0
}

#[tracepoint(category = "tcp", name = "tcp_receive_reset")]
#[expect(clippy::needless_pass_by_value, reason = "the macro passes it so")]
pub(crate) fn receive_reset_tp(ctx: TracePointContext) -> u32 {
    reset(&ctx, config().signals.receive_reset, 0, 0);
    0
}

#[tracepoint(category = "tcp", name = "tcp_retransmit_skb")]
#[expect(clippy::needless_pass_by_value, reason = "the macro passes it so")]
pub(crate) fn retransmit_tp(ctx: TracePointContext) -> u32 {
    let skaddr: u64 = field(&ctx, config().signals.retransmit);
    let is_left_out = sampling::leaves_out(|| {
        let (lport, rport, cookie) = identity(skaddr);
        sampling::key(cookie, lport, rport)
    });
    signal::send(&ctx, is_left_out, |ktime_ns| RetransmitRecord {
        kind: KIND_RETRANSMIT,
        reserved: 0,
        padding: 0,
        ktime_ns,
        skaddr,
    });
    0
}

#[tracepoint(category = "sock", name = "inet_sk_error_report")]
#[expect(clippy::needless_pass_by_value, reason = "the macro passes it so")]
pub(crate) fn error_report_tp(ctx: TracePointContext) -> u32 {
    let layout = &config().signals;
    let error: i32 = field(&ctx, layout.error);
    // `tcp_disconnect()` reports that there is none.
    if error != 0 && field::<u16>(&ctx, layout.error_protocol) == IPPROTO_TCP {
        let Tuple { lport, rport, laddr, raddr, .. } = tuple(&ctx, &layout.error_ends);
        // Which socket's it is, the event does not tell.
        signal::send(&ctx, sampling::leaves_out_all(), |ktime_ns| ErrorRecord {
            kind: KIND_ERROR,
            lport,
            rport,
            reserved: 0,
            ktime_ns,
            laddr,
            raddr,
            error,
            padding: 0,
        });
    }
    0
}

#[tracepoint(category = "tcp", name = "tcp_retransmit_synack")]
#[expect(clippy::needless_pass_by_value, reason = "the macro passes it so")]
pub(crate) fn synack_tp(ctx: TracePointContext) -> u32 {
    half_open::report(HALF_OPEN_RETRANSMIT, || Seen {
        what: HALF_OPEN_RETRANSMIT,
        tuple: tuple(&ctx, &config().signals.synack_ends),
        netns: 0,
        netns_cookie: 0,
        // Of two words of zeros the compiler would make a call to memset(), for which the object has no type information.
        cookie: black_box(0),
    });
    0
}

/// Sends a record, unless the reset belongs to no socket; `skaddr`: where the record has its address.
#[inline(always)]
fn reset(ctx: &TracePointContext, skaddr: u32, sent: u16, reason: u32) {
    let skaddr: u64 = field(ctx, skaddr);
    if skaddr == 0 {
        return;
    }
    let (lport, rport, cookie) = identity(skaddr);
    let is_left_out = sampling::leaves_out(|| sampling::key(cookie, lport, rport));
    signal::send(ctx, is_left_out, |ktime_ns| ResetRecord {
        kind: KIND_RESET,
        sent,
        reason,
        ktime_ns,
        skaddr,
        cookie,
        lport,
        rport,
        reserved: 0,
    });
}

/// Local and remote port, and cookie, of the socket at this address; 0 where they are not known.
#[inline(always)]
fn identity(skaddr: u64) -> (u16, u16, u64) {
    if !known(Known::SOCK) {
        return (0, 0, 0);
    }
    let fields = &config().fields;
    let cookie = if known(Known::COOKIE_FIELD) { read(skaddr, fields.sock.cookie) } else { 0 };
    // The socket may have closed already, and has its port there only.
    (u16::from_be(read(skaddr, fields.tcp.sport)), u16::from_be(read(skaddr, fields.sock.dport)), cookie)
}

/// A field of the event's record.
#[inline(always)]
fn field<T: Copy + Default>(ctx: &TracePointContext, offset: u32) -> T {
    read(ctx.as_ptr() as u64, offset)
}

/// Copies from kernel memory that is there, so that it does not fail.
#[inline(always)]
fn read<T: Copy + Default>(address: u64, offset: u32) -> T {
    // SAFETY: the helper reads anywhere, and reports what it cannot read.
    unsafe { bpf_probe_read_kernel((address + u64::from(offset)) as *const T) }.unwrap_or_default()
}

#[inline(always)]
fn tuple(ctx: &TracePointContext, layout: &EndsLayout) -> Tuple {
    let laddr: Address = field(ctx, layout.saddr_v6);
    Tuple {
        family: if laddr.is_v4() { AF_INET } else { AF_INET6 },
        lport: field(ctx, layout.sport),
        rport: field(ctx, layout.dport),
        laddr,
        raddr: field(ctx, layout.daddr_v6),
    }
}
