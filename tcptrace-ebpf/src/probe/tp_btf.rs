//! `tp_btf/inet_sock_set_state`: the socket arrives as a typed pointer, and the verifier checks every load
//! against the running kernel's own types. No helper, no copy; a wrong offset is refused at load time.

use core::ffi::c_void;

use aya_ebpf::{
    helpers::generated::{bpf_get_socket_cookie, bpf_skc_to_tcp_sock},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use tcptrace_common::{AF_INET, Address, CloseEvidence, CloseMetrics, IPPROTO_TCP, Known, TCP_CLOSE};

use crate::{
    config::{config, known},
    sock::{Bits, Sock, Tuple, evidence_flags, has_listened},
    task::Task,
    transition,
    typed::load,
};

/// `TP_PROTO(const struct sock *sk, const int oldstate, const int newstate)`.
#[btf_tracepoint(function = "inet_sock_set_state")]
#[expect(clippy::needless_pass_by_value, reason = "the macro passes it so")]
pub(crate) fn set_state_btf(ctx: BtfTracePointContext) -> i32 {
    let sk: *const u8 = ctx.arg(0);
    let (old, new): (i32, i32) = (ctx.arg(1), ctx.arg(2));
    // SAFETY: a u16 of struct sock.
    let protocol = unsafe { load!(sk, sock.protocol) };
    if let Some(transition) = transition::count(&ctx, protocol, old, new) {
        transition::report(&ctx, transition, &BtfSock::new(sk, new), &Task::current(true));
    } else if old == new && protocol == IPPROTO_TCP {
        transition::repeated(&ctx, new, &BtfSock::common(sk));
    }
    0
}

/// A socket, or what begins with the same `struct sock_common`.
pub(super) struct BtfSock {
    sk: *const u8,
    /// The same socket as `struct tcp_sock`, through which fields behind `struct sock` can be reached: at the
    /// transition to CLOSE, where the port is left there only, and the final figures are. Null otherwise, since
    /// getting it takes a call.
    tcp: *const u8,
}

impl BtfSock {
    /// What every socket has, a request socket included.
    #[inline(always)]
    pub(super) const fn common(sk: *const u8) -> Self {
        Self { sk, tcp: core::ptr::null() }
    }

    #[inline(always)]
    pub(super) fn new(sk: *const u8, new: i32) -> Self {
        if new != i32::from(TCP_CLOSE) {
            return Self::common(sk);
        }
        // SAFETY: the helper takes the typed pointer that the context holds, and checks what it points to.
        let tcp = unsafe { bpf_skc_to_tcp_sock(sk.cast_mut().cast::<c_void>()) };
        Self { sk, tcp: tcp.cast() }
    }
}

impl Sock for BtfSock {
    #[inline(always)]
    fn address(&self) -> u64 {
        self.sk as u64
    }

    #[inline(always)]
    fn tuple(&self) -> Tuple {
        // SAFETY: fields of struct sock, and of struct tcp_sock behind the null check.
        unsafe {
            let family: u16 = load!(self.sk, sock.family);
            let dport: u16 = load!(self.sk, sock.dport);
            let lport = if self.tcp.is_null() {
                load!(self.sk, sock.num)
            } else {
                u16::from_be(load!(self.tcp, tcp.sport))
            };
            let (laddr, raddr) = if family == AF_INET {
                let saddr: u32 = if self.tcp.is_null() {
                    load!(self.sk, sock.rcv_saddr)
                } else {
                    load!(self.tcp, tcp.saddr)
                };
                let daddr: u32 = load!(self.sk, sock.daddr);
                (Address::from_v4(saddr.to_ne_bytes()), Address::from_v4(daddr.to_ne_bytes()))
            } else {
                (
                    Address {
                        words: [load!(self.sk, sock.v6_rcv_saddr), load!(self.sk, sock.v6_rcv_saddr + 8)],
                    },
                    Address { words: [load!(self.sk, sock.v6_daddr), load!(self.sk, sock.v6_daddr + 8)] },
                )
            };
            Tuple { family, lport, rport: u16::from_be(dport), laddr, raddr }
        }
    }

    #[inline(always)]
    fn netns(&self) -> u32 {
        if !known(Known::NETNS) {
            return 0;
        }
        // SAFETY: the pointer to struct net is typed as well.
        unsafe {
            let net: *const u8 = load!(self.sk, sock.net);
            load!(net, sock.net_inum)
        }
    }

    #[inline(always)]
    fn cookie(&self) -> u64 {
        let cookie = if known(Known::COOKIE_FIELD) {
            // SAFETY: a u64 of struct sock_common.
            unsafe { load!(self.sk, sock.cookie) }
        } else {
            0
        };
        // It gets one when it is first asked for; only then is the helper needed.
        if cookie == 0 && known(Known::COOKIE_HELPER) {
            // SAFETY: takes the typed pointer.
            return unsafe { bpf_get_socket_cookie(self.sk.cast_mut().cast::<c_void>()) };
        }
        cookie
    }

    #[inline(always)]
    fn lock_owned(&self) -> Option<bool> {
        if !known(Known::LOCK) {
            return None;
        }
        // SAFETY: an int of struct sock.
        let owned: i32 = unsafe { load!(self.sk, sock.lock_owned) };
        Some(owned != 0)
    }

    #[inline(always)]
    fn error(&self) -> Option<i32> {
        // SAFETY: an int of struct sock.
        known(Known::ERROR).then(|| unsafe { load!(self.sk, sock.err) })
    }

    #[inline(always)]
    unsafe fn close_metrics(&self, to: *mut CloseMetrics) -> bool {
        if self.tcp.is_null() || !known(Known::METRICS) {
            return false;
        }
        // SAFETY: counters of struct tcp_sock, which is not null, and the caller's promise.
        unsafe {
            let srtt: u32 = load!(self.tcp, tcp.srtt_us);
            (&raw mut (*to).bytes_acked).write(load!(self.tcp, tcp.bytes_acked));
            (&raw mut (*to).bytes_received).write(load!(self.tcp, tcp.bytes_received));
            (&raw mut (*to).srtt_us).write(srtt >> 3);
            (&raw mut (*to).retransmits).write(load!(self.tcp, tcp.total_retrans));
        }
        true
    }

    #[inline(always)]
    unsafe fn close_evidence(&self, to: *mut CloseEvidence) -> bool {
        if self.tcp.is_null() || !known(Known::EVIDENCE) {
            return false;
        }
        // SAFETY: fields of struct sock, and of struct tcp_sock, which is not null, and the caller's promise.
        unsafe {
            let (write_seq, snd_nxt): (u32, u32) =
                (load!(self.tcp, tcp.write_seq), load!(self.tcp, tcp.snd_nxt));
            let (rcv_nxt, copied_seq): (u32, u32) =
                (load!(self.tcp, tcp.rcv_nxt), load!(self.tcp, tcp.copied_seq));
            let flags: u64 = load!(self.sk, sock.flags);
            let bits = Bits {
                repair: if known(Known::REPAIR) { load!(self.tcp, tcp.repair) } else { 0 },
                deferred: if known(Known::DEFERRED) { load!(self.tcp, tcp.deferred) } else { 0 },
                flags,
                num: load!(self.sk, sock.num),
                write_seq,
            };
            let flags = evidence_flags(flags, load!(self.sk, sock.lingertime));
            (&raw mut (*to).user_timeout_ms).write(load!(self.tcp, tcp.user_timeout));
            (&raw mut (*to).segs_out).write(load!(self.tcp, tcp.segs_out));
            (&raw mut (*to).unsent).write(write_seq.wrapping_sub(snd_nxt));
            (&raw mut (*to).unread).write(rcv_nxt.wrapping_sub(copied_seq));
            (&raw mut (*to).flags).write(flags);
            (&raw mut (*to).shutdown).write(load!(self.sk, sock.shutdown));
            (&raw mut (*to).retransmits).write(load!(self.tcp, tcp.retransmits));
            (&raw mut (*to).probes_out).write(load!(self.tcp, tcp.probes_out));
            (&raw mut (*to).facts).write(bits.facts());
        }
        true
    }

    #[inline(always)]
    fn bound_device(&self) -> u32 {
        // SAFETY: an int of struct sock_common.
        if known(Known::DEVICE) { unsafe { load!(self.sk, sock.bound_dev_if) } } else { 0 }
    }

    #[inline(always)]
    fn has_listened(&self) -> bool {
        // SAFETY: an unsigned long of struct sock_common.
        known(Known::LISTENED) && has_listened(unsafe { load!(self.sk, sock.flags) })
    }

    #[inline(always)]
    fn may_be_steered(&self) -> bool {
        if known(Known::LOOKUP) {
            // SAFETY: the pointer to struct net is typed as well; what it points to there is not followed.
            let programs: *const u8 = unsafe {
                let net: *const u8 = load!(self.sk, sock.net);
                load!(net, sock.net_lookup)
            };
            if !programs.is_null() {
                return true;
            }
        }
        if !known(Known::TRANSPARENT) {
            return false;
        }
        // SAFETY: the helper takes the typed pointer that the context holds, and checks what it points to.
        let tcp: *const u8 =
            unsafe { bpf_skc_to_tcp_sock(self.sk.cast_mut().cast::<c_void>()) }.cast_const().cast();
        if tcp.is_null() {
            return false;
        }
        // SAFETY: a byte of struct tcp_sock, which is not null.
        let byte: u8 = unsafe { load!(tcp, tcp.transparent) };
        u32::from(byte) & config().masks.transparent != 0
    }
}
