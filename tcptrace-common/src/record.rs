//! The record that the kernel side puts on the ring buffer for each transition.

use crate::Address;

/// [`TransitionRecord::kind`] of a transition, alone or in a [`ClosingRecord`].
pub const KIND_TRANSITION: u16 = 1;

/// One state transition of a TCP socket, in the kernel's byte order. An entry of the ring holds one record or
/// several, back to back.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TransitionRecord {
    /// What kind of record this is: [`KIND_TRANSITION`].
    pub kind: u16,
    /// [`RecordFlags`].
    pub flags: u16,
    /// Inode number of the socket's network namespace; 0 when unknown.
    pub netns: u32,
    /// `bpf_ktime_get_ns()`: nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// When the socket entered `old_state`, same clock; 0 where the kernel side did not keep it.
    pub since_ns: u64,
    /// Address of the `struct sock`: identity while the socket lives, reused afterwards.
    pub skaddr: u64,
    /// Socket cookie, unique until reboot; 0 where the kernel has none for this socket yet.
    pub cookie: u64,
    /// cgroup v2 id of the context process.
    pub cgroup_id: u64,
    /// Process id (thread group) of the context: what ran on the CPU, not necessarily the owner.
    pub tgid: u32,
    /// Thread id of the context.
    pub tid: u32,
    /// Real user id of the context, in the initial user namespace.
    pub uid: u32,
    /// `sk_err` at the transition: errno, 0 for none.
    pub sk_err: i32,
    /// `AF_INET` or `AF_INET6` as the socket has it.
    pub family: u8,
    /// `IPPROTO_TCP`.
    pub protocol: u8,
    /// Local port, host order; 0 at CLOSE -> SYN_SENT of a socket that was not bound.
    pub lport: u16,
    /// Remote port, host order.
    pub rport: u16,
    /// State before, `include/net/tcp_states.h`.
    pub old_state: u8,
    /// State after.
    pub new_state: u8,
    /// Local address.
    pub laddr: Address,
    /// Remote address.
    pub raddr: Address,
    /// Name of the context thread: sixteen bytes, NUL-padded, any bytes; as words, which are copied at once.
    pub comm: [u64; 2],
}

/// A transition to CLOSE, with [`RecordFlags::CLOSING`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ClosingRecord {
    /// The transition.
    pub transition: TransitionRecord,
    /// What the connection did; with [`RecordFlags::METRICS`].
    pub metrics: CloseMetrics,
    /// Why it ended; with [`RecordFlags::EVIDENCE`].
    pub evidence: CloseEvidence,
}

/// What follows either record, with [`RecordFlags::DEVICE`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRecord {
    /// `skc_bound_dev_if`: index of the network device, or VRF, that the socket is bound to. Never 0.
    pub ifindex: u32,
    /// 0.
    pub reserved: u32,
}

/// Final figures of a connection, from its `struct tcp_sock`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CloseMetrics {
    /// Bytes of ours that the peer acknowledged (RFC 4898 tcpEStatsAppHCThruOctetsAcked).
    pub bytes_acked: u64,
    /// Bytes received in order (RFC 4898 tcpEStatsAppHCThruOctetsReceived).
    pub bytes_received: u64,
    /// Smoothed round-trip time in microseconds; 0 when never measured.
    pub srtt_us: u32,
    /// Segments retransmitted over the connection's life.
    pub retransmits: u32,
}

/// What the socket itself tells of why its connection ends, from `struct sock` and `struct tcp_sock`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CloseEvidence {
    /// `icsk_user_timeout` in milliseconds (`TCP_USER_TIMEOUT`); 0 for none.
    pub user_timeout_ms: u32,
    /// `segs_out`: segments sent over the connection's life. 0 after a `connect()` that never sent its SYN.
    pub segs_out: u32,
    /// `write_seq - snd_nxt`: bytes that were written and never sent, as into a closed window.
    pub unsent: u32,
    /// `rcv_nxt - copied_seq`: what the program has not read, bytes and the peer's FIN.
    pub unread: u32,
    /// Bits of [`EvidenceFlags`].
    pub flags: u8,
    /// `sk_shutdown`: `RCV_SHUTDOWN` (1), `SEND_SHUTDOWN` (2); `close()` sets both before anything else.
    pub shutdown: u8,
    /// `icsk_retransmits`: retransmissions since the last acknowledgement.
    pub retransmits: u8,
    /// `icsk_probes_out`: keepalive or window probes since the last acknowledgement.
    pub probes_out: u8,
    /// Bits of [`Fact`]; 0 of what an older version recorded.
    pub facts: u32,
}

impl CloseEvidence {
    /// What the socket says of this; `None` where that was not read.
    pub const fn fact(&self, fact: Fact) -> Option<bool> {
        if self.facts & fact.known() == 0 { None } else { Some(self.facts & fact.value() != 0) }
    }
}

/// What a socket says of itself at CLOSE by a single bit, in [`CloseEvidence::facts`].
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// `tp->repair`: `TCP_REPAIR` is on, and whatever ends the socket sends nothing (`tcp_disconnect()`).
    Repair = 0,
    /// `defer_connect`: `connect()` with `TCP_FASTOPEN_CONNECT` has left the SYN to the first `write()`, which has not
    /// come.
    Deferred = 1,
    /// `SOCK_RCU_FREE`: it has been in the table of listeners (`__inet_hash()`), so that a `listen()` has succeeded.
    Listened = 2,
    /// `skc_num` is not 0: it still has its port. `tcp_set_state()` gives back those that `bind()` did not choose, so it was
    /// bound, or its state was set past that function (`inet_ehash_nolisten()`, `inet_csk_listen_start()`).
    Bound = 3,
    /// `write_seq` is not 0: it has had an initial sequence number, which `connect()` chooses once the ends are free.
    Sequenced = 4,
}

impl Fact {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Repair, Self::Deferred, Self::Listened, Self::Bound, Self::Sequenced];

    /// The bits that say so, or that it is not so.
    #[inline(always)]
    pub const fn said(self, so: bool) -> u32 {
        self.known() | if so { self.value() } else { 0 }
    }

    const fn value(self) -> u32 {
        1 << self as u32
    }

    const fn known(self) -> u32 {
        1 << (16 + self as u32)
    }
}

/// Bits of [`CloseEvidence::flags`].
pub struct EvidenceFlags;

impl EvidenceFlags {
    /// `SOCK_DONE`: the peer's FIN has arrived (`tcp_fin()`). A socket that leaves FIN_WAIT2 or CLOSING with it goes
    /// on as a TIME_WAIT socket, one without in FIN_WAIT2 (`tcp_time_wait()`).
    pub const DONE: u8 = 1 << 0;
    /// `SOCK_LINGER` with a time of 0: `close()` resets the connection.
    pub const LINGER_ZERO: u8 = 1 << 1;
}

const _: () = assert!(size_of::<TransitionRecord>() == 120);
const _: () = assert!(size_of::<ClosingRecord>() == 168);
const _: () = assert!(size_of::<DeviceRecord>() == 8);
const _: () = assert!(size_of::<CloseMetrics>() == 24);
const _: () = assert!(size_of::<CloseEvidence>() == 24);

/// Bits of [`TransitionRecord::flags`]: what is known, since an unknown value is not 0.
pub struct RecordFlags;

impl RecordFlags {
    /// `LOCK_OWNED` tells something: the kernel's BTF gave the offset.
    pub const LOCK_KNOWN: u16 = 1 << 0;
    /// The socket lock was held by a process: the context is a process acting on this socket.
    pub const LOCK_OWNED: u16 = 1 << 1;
    /// The context is a kernel thread, which never owns a socket.
    pub const KERNEL_THREAD: u16 = 1 << 2;
    /// `sk_err` was read.
    pub const ERROR: u16 = 1 << 3;
    /// It is a [`ClosingRecord`] whose `metrics` are known.
    pub const METRICS: u16 = 1 << 4;
    /// The filters want this record only if what is still 0 here turns out to match: the local port, or of a listener's
    /// child the peer.
    pub const UNDECIDED: u16 = 1 << 5;
    /// The filters hide this record; it is sent since later ones cannot be understood without it.
    pub const HIDDEN: u16 = 1 << 6;
    /// It is a [`ClosingRecord`] whose `evidence` is known.
    pub const EVIDENCE: u16 = 1 << 7;
    /// The context is a process that ends (`PF_EXITING`).
    pub const EXITING: u16 = 1 << 8;
    /// At CLOSE -> LISTEN: the socket has listened before (`SOCK_RCU_FREE`), so that [`Fact::Listened`] says nothing of this
    /// `listen()`.
    pub const LISTENED: u16 = 1 << 9;
    /// At LISTEN -> SYN_RECV: a program at the hook `sk_lookup`, or a rule for transparent proxying, may have chosen the
    /// listener, so that it need not be the one at the child's address and port.
    pub const STEERED: u16 = 1 << 10;
    /// A [`DeviceRecord`] follows.
    pub const DEVICE: u16 = 1 << 11;
    /// It is a [`ClosingRecord`].
    pub const CLOSING: u16 = Self::METRICS | Self::EVIDENCE;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_has_its_own_bits_and_what_was_not_read_is_not_known() {
        let nothing = CloseEvidence::default();
        for fact in Fact::ALL {
            assert_eq!(nothing.fact(fact), None);
            for so in [false, true] {
                let evidence = CloseEvidence { facts: fact.said(so), ..nothing };
                assert_eq!(evidence.fact(fact), Some(so));
                let others = Fact::ALL.into_iter().filter(|other| *other != fact);
                assert!(others.into_iter().all(|other| evidence.fact(other).is_none()), "{fact:?}");
            }
        }
    }
}
