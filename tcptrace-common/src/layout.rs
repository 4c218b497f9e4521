//! The settings: what user space knows of the running kernel, and what the user wants. They are written into the
//! object's read-only data before loading, so that the verifier sees constants and removes what is switched off.

use crate::{Fields, Filter};

/// Byte offsets in the record of the tracepoint `sock:inet_sock_set_state`, from tracefs' `format`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordLayout {
    /// Bytes to copy: up to the end of the last field, at most [`RecordLayout::MAX_SIZE`].
    pub size: u32,
    /// `skaddr`, pointer.
    pub skaddr: u32,
    /// `oldstate`, int.
    pub oldstate: u32,
    /// `newstate`, int.
    pub newstate: u32,
    /// `sport`, host order u16.
    pub sport: u32,
    /// `dport`, host order u16.
    pub dport: u32,
    /// `family`, u16.
    pub family: u32,
    /// `protocol`.
    pub protocol: u32,
    /// 1 or 2: bytes of `protocol` (one before Linux 5.6).
    pub protocol_size: u32,
    /// `saddr`, four bytes.
    pub saddr: u32,
    /// `daddr`, four bytes.
    pub daddr: u32,
    /// `saddr_v6`, sixteen bytes.
    pub saddr_v6: u32,
    /// `daddr_v6`, sixteen bytes.
    pub daddr_v6: u32,
}

impl RecordLayout {
    /// Largest record that the kernel side has room for.
    pub const MAX_SIZE: u32 = 128;
}

/// Byte offsets in the records of the tracepoints that signals come from, from each one's `format`; 0 where the event or
/// the field is not there, or not to be read.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalLayout {
    /// `skaddr` of `tcp:tcp_send_reset`, pointer.
    pub send_reset: u32,
    /// `reason` of the same, an enum (Linux 6.10).
    pub reset_reason: u32,
    /// `skaddr` of `tcp:tcp_receive_reset`.
    pub receive_reset: u32,
    /// `skaddr` of `tcp:tcp_retransmit_skb`.
    pub retransmit: u32,
    /// `error` of `sock:inet_sk_error_report`, int.
    pub error: u32,
    /// `protocol` of the same, u16.
    pub error_protocol: u32,
    /// Ends of the same.
    pub error_ends: EndsLayout,
    /// Ends of `tcp:tcp_retransmit_synack`.
    pub synack_ends: EndsLayout,
}

/// Byte offsets of both ends of a connection in such a record. Those for IPv6 hold IPv4 addresses as well, v4-mapped.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndsLayout {
    /// `sport`, host order u16.
    pub sport: u32,
    /// `dport`, host order u16.
    pub dport: u32,
    /// `saddr_v6`, sixteen bytes.
    pub saddr_v6: u32,
    /// `daddr_v6`, sixteen bytes.
    pub daddr_v6: u32,
}

impl SignalLayout {
    /// None is known.
    pub const NONE: Self = Self {
        send_reset: 0,
        reset_reason: 0,
        receive_reset: 0,
        retransmit: 0,
        error: 0,
        error_protocol: 0,
        error_ends: EndsLayout::NONE,
        synack_ends: EndsLayout::NONE,
    };
}

impl EndsLayout {
    /// None is known.
    pub const NONE: Self = Self { sport: 0, dport: 0, saddr_v6: 0, daddr_v6: 0 };
}

/// Bits inside of fields, where those of [`Fields`] are whole bytes or words.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Masks {
    /// Of the byte `repair` in [`TcpLayout`](crate::TcpLayout).
    pub repair: u32,
    /// Of `deferred`.
    pub deferred: u32,
    /// Of `transparent`.
    pub transparent: u32,
    /// The number of `SOCK_RCU_FREE` in `enum sock_flags`: a bit of `flags` in [`SockLayout`](crate::SockLayout).
    pub rcu_free: u32,
}

impl Masks {
    /// None is known.
    pub const NONE: Self = Self { repair: 0, deferred: 0, transparent: 0, rcu_free: 0 };
}

/// Bits of [`Config::known`].
pub struct Known;

impl Known {
    /// `net` and `net_inum`.
    pub const NETNS: u32 = 1 << 0;
    /// `lock_owned`.
    pub const LOCK: u32 = 1 << 1;
    /// `err`.
    pub const ERROR: u32 = 1 << 2;
    /// `bpf_get_socket_cookie()` may be called from this program type (tracing programs from Linux 5.12 on).
    pub const COOKIE_HELPER: u32 = 1 << 3;
    /// `cookie`, for kernels without the helper.
    pub const COOKIE_FIELD: u32 = 1 << 4;
    /// The four counters in [`TcpLayout`](crate::TcpLayout).
    pub const METRICS: u32 = 1 << 5;
    /// The fields of [`SockLayout`](crate::SockLayout) that no other bit stands for.
    pub const SOCK: u32 = 1 << 7;
    /// What [`CloseEvidence`](crate::CloseEvidence) is made of.
    pub const EVIDENCE: u32 = 1 << 8;
    /// The tracepoint `tcp:tcp_send_reset` gives a reason (Linux 6.10).
    pub const RESET_REASON: u32 = 1 << 9;
    /// All of [`TaskLayout`](crate::TaskLayout), and `bpf_get_current_task_btf()` exists (Linux 5.11).
    pub const TASK: u32 = 1 << 6;
    /// All of [`FileLayout`](crate::FileLayout), and `state` and `kind` of [`SockLayout`](crate::SockLayout).
    pub const FILE: u32 = 1 << 10;
    /// An interrupt may have the kernel run a program of this type inside itself (tracing programs before Linux 6.1).
    pub const NESTS: u32 = 1 << 11;
    /// `repair`, and its mask.
    pub const REPAIR: u32 = 1 << 12;
    /// `deferred`, and its mask.
    pub const DEFERRED: u32 = 1 << 13;
    /// `flags` of [`SockLayout`](crate::SockLayout), and the number of `SOCK_RCU_FREE` in it.
    pub const LISTENED: u32 = 1 << 14;
    /// `net_lookup`.
    pub const LOOKUP: u32 = 1 << 15;
    /// `transparent`, and its mask.
    pub const TRANSPARENT: u32 = 1 << 16;
    /// What tracing can do without, and no kernel before had to take.
    pub const FACTS: u32 =
        Self::REPAIR | Self::DEFERRED | Self::LISTENED | Self::LOOKUP | Self::TRANSPARENT | Self::DEVICE;
    /// `bound_dev_if`.
    pub const DEVICE: u32 = 1 << 18;
    /// Tell user space at once of a process that connects or listens for the first time.
    pub const NEWCOMERS: u32 = 1 << 17;
}

/// [`Config::mode`]: every transition that passes is sent as a record.
pub const MODE_STREAM: u32 = 0;
/// [`Config::mode`]: transitions are counted, none is sent.
pub const MODE_COUNT: u32 = 1;

/// Everything that user space tells the kernel side before loading it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// [`MODE_STREAM`] or [`MODE_COUNT`].
    pub mode: u32,
    /// [`Known`] bits.
    pub known: u32,
    /// Unread bytes in the ring at which the reader is woken.
    pub watermark: u32,
    /// A CPU's records wait for each other, until they are more bytes than this, and go onto the ring together: at most
    /// [`BATCH_FULL`](crate::BATCH_FULL). 0: each goes by itself.
    pub batch: u32,
    /// Fields of the kernel's structures, for programs that copy them.
    pub fields: Fields,
    /// Bits inside of these.
    pub masks: Masks,
    /// The classic tracepoint's record.
    pub record: RecordLayout,
    /// Those of the classic tracepoints that signals come from.
    pub signals: SignalLayout,
    /// Always 0: fills the gap before the filters, whose words have eight bytes.
    pub reserved: [u32; Self::GAP],
    /// The user's filters.
    pub filter: Filter,
}

const _: () = assert!(size_of::<Config>() == 4 * (Config::WORDS + Config::GAP) + size_of::<Filter>());
const _: () = assert!(size_of::<Config>().is_multiple_of(8));

impl Config {
    /// Words before the filters.
    const WORDS: usize =
        4 + Fields::COUNT + (size_of::<Masks>() + size_of::<RecordLayout>() + size_of::<SignalLayout>()) / 4;
    const GAP: usize = Self::WORDS % 2;
    /// Nothing known, nothing filtered, streaming.
    pub const EMPTY: Self = Self {
        mode: MODE_STREAM,
        known: 0,
        watermark: 0,
        batch: 0,
        fields: Fields::NONE,
        masks: Masks::NONE,
        record: RecordLayout {
            size: 0,
            skaddr: 0,
            oldstate: 0,
            newstate: 0,
            sport: 0,
            dport: 0,
            family: 0,
            protocol: 0,
            protocol_size: 0,
            saddr: 0,
            daddr: 0,
            saddr_v6: 0,
            daddr_v6: 0,
        },
        signals: SignalLayout::NONE,
        reserved: [0; Self::GAP],
        filter: Filter::NONE,
    };
}
