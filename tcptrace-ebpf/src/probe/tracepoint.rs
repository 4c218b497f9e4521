//! `tracepoint/sock/inet_sock_set_state`: the fallback. The record is read by the offsets that tracefs'
//! `format` gives; the socket behind it, where BTF is there, by copying from kernel memory.

use core::mem::MaybeUninit;

use aya_ebpf::{
    EbpfContext as _,
    helpers::{bpf_probe_read_kernel, generated},
    macros::tracepoint,
    programs::TracePointContext,
};
use tcptrace_common::{
    AF_INET, Address, CloseEvidence, CloseMetrics, IPPROTO_TCP, Known, RecordLayout, TCP_SYN_SENT,
};

use crate::{
    config::{config, known},
    sock::{Bits, Sock, Tuple, evidence_flags, has_listened},
    task::Task,
    transition,
};

/// Copies the record and hands it on.
#[tracepoint(category = "sock", name = "inet_sock_set_state")]
#[expect(clippy::needless_pass_by_value, reason = "the macro passes it so")]
pub(crate) fn set_state_tp(ctx: TracePointContext) -> u32 {
    let mut bytes = MaybeUninit::<Record>::uninit();
    let size = config().record.size;
    if size > RecordLayout::MAX_SIZE {
        return 0;
    }
    // Direct loads from the context take offsets in the instruction only, not from the settings.
    // SAFETY: `bytes` has room for MAX_SIZE.
    if unsafe { generated::bpf_probe_read_kernel(bytes.as_mut_ptr().cast(), size, ctx.as_ptr()) } != 0 {
        return 0;
    }
    // SAFETY: everything below reads inside `size`, which user space checked against the offsets.
    let sock = RecordSock { record: bytes.as_ptr().cast() };
    let layout = &config().record;
    // SAFETY: as above.
    let (old, new) = unsafe { (sock.field(layout.oldstate), sock.field(layout.newstate)) };
    if let Some(transition) = transition::count(&ctx, sock.protocol(), old, new) {
        transition::report(&ctx, transition, &sock, &Task::current(false));
    } else if old == new && sock.protocol() == IPPROTO_TCP {
        transition::repeated(&ctx, new, &sock);
    }
    0
}

#[repr(C, align(8))]
struct Record([u8; RecordLayout::MAX_SIZE as usize]);

struct RecordSock {
    record: *const u8,
}

impl RecordSock {
    /// A field of the record.
    ///
    /// # Safety
    /// `offset` plus the size of `T` lies inside the copied record; the verifier checks it, too.
    #[inline(always)]
    unsafe fn field<T: Copy>(&self, offset: u32) -> T {
        // SAFETY: the caller's promise.
        unsafe { self.record.add(offset as usize).cast::<T>().read_volatile() }
    }

    /// `sk_protocol`.
    #[inline(always)]
    fn protocol(&self) -> u16 {
        let layout = &config().record;
        // SAFETY: one or two bytes, as the format said.
        unsafe {
            if layout.protocol_size == 1 {
                u16::from(self.field::<u8>(layout.protocol))
            } else {
                self.field(layout.protocol)
            }
        }
    }

    /// A field of the `struct sock` behind the record, copied from kernel memory. It is the memory of a living socket,
    /// so the copy does not fail.
    #[inline(always)]
    fn sock_field<T: Copy>(&self, offset: u32) -> Option<T> {
        // SAFETY: the helper reads anywhere, and reports what it cannot read.
        unsafe { bpf_probe_read_kernel((self.address() + u64::from(offset)) as *const T) }.ok()
    }
}

impl Sock for RecordSock {
    #[inline(always)]
    fn address(&self) -> u64 {
        // SAFETY: a pointer in the record.
        unsafe { self.field(config().record.skaddr) }
    }

    #[inline(always)]
    fn tuple(&self) -> Tuple {
        let layout = &config().record;
        // SAFETY: fields of the record.
        unsafe {
            let family: u16 = self.field(layout.family);
            let (laddr, raddr) = if family == AF_INET {
                (Address::from_v4(self.field(layout.saddr)), Address::from_v4(self.field(layout.daddr)))
            } else {
                (
                    Address { words: self.field(layout.saddr_v6) },
                    Address { words: self.field(layout.daddr_v6) },
                )
            };
            // The record's port is the last one that the socket had. One that connects again has none yet.
            let lport = if self.field::<i32>(layout.newstate) == i32::from(TCP_SYN_SENT) && known(Known::SOCK)
            {
                self.sock_field(config().fields.sock.num).unwrap_or(0)
            } else {
                self.field(layout.sport)
            };
            Tuple { family, lport, rport: self.field(layout.dport), laddr, raddr }
        }
    }

    #[inline(always)]
    fn netns(&self) -> u32 {
        if !known(Known::NETNS) {
            return 0;
        }
        let Some(net) = self.sock_field::<u64>(config().fields.sock.net) else { return 0 };
        // SAFETY: as in `sock_field`.
        unsafe { bpf_probe_read_kernel((net + u64::from(config().fields.sock.net_inum)) as *const u32) }
            .unwrap_or(0)
    }

    #[inline(always)]
    fn cookie(&self) -> u64 {
        if !known(Known::COOKIE_FIELD) {
            return 0;
        }
        self.sock_field(config().fields.sock.cookie).unwrap_or(0)
    }

    #[inline(always)]
    fn lock_owned(&self) -> Option<bool> {
        if !known(Known::LOCK) {
            return None;
        }
        self.sock_field::<i32>(config().fields.sock.lock_owned).map(|owned| owned != 0)
    }

    #[inline(always)]
    fn error(&self) -> Option<i32> {
        if !known(Known::ERROR) {
            return None;
        }
        self.sock_field(config().fields.sock.err)
    }

    #[inline(always)]
    unsafe fn close_metrics(&self, to: *mut CloseMetrics) -> bool {
        if !known(Known::METRICS) {
            return false;
        }
        let tcp = &config().fields.tcp;
        // SAFETY: the caller's promise.
        unsafe {
            (&raw mut (*to).bytes_acked).write(self.sock_field(tcp.bytes_acked).unwrap_or(0));
            (&raw mut (*to).bytes_received).write(self.sock_field(tcp.bytes_received).unwrap_or(0));
            (&raw mut (*to).srtt_us).write(self.sock_field::<u32>(tcp.srtt_us).unwrap_or(0) >> 3);
            (&raw mut (*to).retransmits).write(self.sock_field(tcp.total_retrans).unwrap_or(0));
        }
        true
    }

    #[inline(always)]
    unsafe fn close_evidence(&self, to: *mut CloseEvidence) -> bool {
        if !known(Known::EVIDENCE) {
            return false;
        }
        let (sock, tcp) = (&config().fields.sock, &config().fields.tcp);
        let distance = |from: u32, to: u32| {
            let (from, to) = (self.sock_field::<u32>(from), self.sock_field::<u32>(to));
            to.unwrap_or(0).wrapping_sub(from.unwrap_or(0))
        };
        let flags = self.sock_field(sock.flags).unwrap_or(0);
        let bits = Bits {
            repair: if known(Known::REPAIR) { self.sock_field(tcp.repair).unwrap_or(0) } else { 0 },
            deferred: if known(Known::DEFERRED) { self.sock_field(tcp.deferred).unwrap_or(0) } else { 0 },
            flags,
            num: self.sock_field(sock.num).unwrap_or(0),
            write_seq: self.sock_field(tcp.write_seq).unwrap_or(0),
        };
        let flags = evidence_flags(flags, self.sock_field(sock.lingertime).unwrap_or(0));
        // SAFETY: the caller's promise.
        unsafe {
            (&raw mut (*to).user_timeout_ms).write(self.sock_field(tcp.user_timeout).unwrap_or(0));
            (&raw mut (*to).segs_out).write(self.sock_field(tcp.segs_out).unwrap_or(0));
            (&raw mut (*to).unsent).write(distance(tcp.snd_nxt, tcp.write_seq));
            (&raw mut (*to).unread).write(distance(tcp.copied_seq, tcp.rcv_nxt));
            (&raw mut (*to).flags).write(flags);
            (&raw mut (*to).shutdown).write(self.sock_field(sock.shutdown).unwrap_or(0));
            (&raw mut (*to).retransmits).write(self.sock_field(tcp.retransmits).unwrap_or(0));
            (&raw mut (*to).probes_out).write(self.sock_field(tcp.probes_out).unwrap_or(0));
            (&raw mut (*to).facts).write(bits.facts());
        }
        true
    }

    #[inline(always)]
    fn bound_device(&self) -> u32 {
        let known = known(Known::DEVICE);
        if known { self.sock_field(config().fields.sock.bound_dev_if).unwrap_or(0) } else { 0 }
    }

    #[inline(always)]
    fn has_listened(&self) -> bool {
        known(Known::LISTENED) && has_listened(self.sock_field(config().fields.sock.flags).unwrap_or(0))
    }

    #[inline(always)]
    fn may_be_steered(&self) -> bool {
        if known(Known::LOOKUP) {
            let Some(net) = self.sock_field::<u64>(config().fields.sock.net) else { return false };
            let programs = (net + u64::from(config().fields.sock.net_lookup)) as *const u64;
            // SAFETY: as in `sock_field`.
            if unsafe { bpf_probe_read_kernel(programs) }.unwrap_or(0) != 0 {
                return true;
            }
        }
        if !known(Known::TRANSPARENT) {
            return false;
        }
        let byte: u8 = self.sock_field(config().fields.tcp.transparent).unwrap_or(0);
        u32::from(byte) & config().masks.transparent != 0
    }
}
