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
    /// Always 0.
    pub reserved: u32,
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
    /// It is a [`ClosingRecord`].
    pub const CLOSING: u16 = Self::METRICS | Self::EVIDENCE;
}
