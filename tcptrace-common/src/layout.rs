//! Where the running kernel keeps its fields: resolved by user space, written into the object's read-only
//! data before loading, so that the verifier sees constants and removes what is switched off.

use crate::Filter;

/// Byte offsets in `struct sock`, and what hangs from it. 0 where [`Known`] says that it is not known.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SockLayout {
    /// `__sk_common.skc_family`, u16.
    pub family: u32,
    /// `__sk_common.skc_dport`, network order u16.
    pub dport: u32,
    /// `__sk_common.skc_num`, host order u16; already 0 at the transition to CLOSE.
    pub num: u32,
    /// `__sk_common.skc_daddr`, four bytes.
    pub daddr: u32,
    /// `__sk_common.skc_rcv_saddr`, four bytes.
    pub rcv_saddr: u32,
    /// `__sk_common.skc_v6_daddr`, sixteen bytes.
    pub v6_daddr: u32,
    /// `__sk_common.skc_v6_rcv_saddr`, sixteen bytes.
    pub v6_rcv_saddr: u32,
    /// `__sk_common.skc_net.net`, pointer to `struct net`.
    pub net: u32,
    /// `ns.inum` in `struct net`, u32.
    pub net_inum: u32,
    /// `__sk_common.skc_cookie`, u64, 0 until someone asked for it.
    pub cookie: u32,
    /// `sk_protocol`, u16.
    pub protocol: u32,
    /// `sk_lock.owned`, int.
    pub lock_owned: u32,
    /// `sk_err`, int.
    pub err: u32,
}

/// Byte offsets in `struct task_struct`, and what hangs from it: the context of a transition without a helper
/// call for each of its parts.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskLayout {
    /// `flags`, u32.
    pub flags: u32,
    /// `tgid`, int.
    pub tgid: u32,
    /// `pid`, int: the thread.
    pub pid: u32,
    /// `comm`, sixteen bytes.
    pub comm: u32,
    /// `cred`, pointer to `struct cred`.
    pub cred: u32,
    /// `uid.val` in `struct cred`, u32.
    pub cred_uid: u32,
    /// `cgroups`, pointer to `struct css_set`.
    pub cgroups: u32,
    /// `dfl_cgrp` in `struct css_set`, pointer to `struct cgroup`.
    pub dfl_cgrp: u32,
    /// `kn` in `struct cgroup`, pointer to `struct kernfs_node`.
    pub kn: u32,
    /// `id` in `struct kernfs_node`, u64: the cgroup id.
    pub kn_id: u32,
}

/// Byte offsets in `struct tcp_sock`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpLayout {
    /// `inet_conn.icsk_inet.inet_sport`, network order u16; survives to CLOSE.
    pub sport: u32,
    /// `inet_conn.icsk_inet.inet_saddr`, four bytes.
    pub saddr: u32,
    /// `bytes_acked`, u64.
    pub bytes_acked: u32,
    /// `bytes_received`, u64.
    pub bytes_received: u32,
    /// `srtt_us`, u32, eighths of a microsecond.
    pub srtt_us: u32,
    /// `total_retrans`, u32.
    pub total_retrans: u32,
}

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
    /// The four counters in [`TcpLayout`].
    pub const METRICS: u32 = 1 << 5;
    /// The fields of [`SockLayout`] that no other bit stands for.
    pub const SOCK: u32 = 1 << 7;
    /// All of [`TaskLayout`], and `bpf_get_current_task_btf()` exists (Linux 5.11).
    pub const TASK: u32 = 1 << 6;
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
    /// Always 0.
    pub reserved: u32,
    /// `struct sock` and what hangs from it.
    pub sock: SockLayout,
    /// `struct tcp_sock`.
    pub tcp: TcpLayout,
    /// `struct task_struct`.
    pub task: TaskLayout,
    /// The classic tracepoint's record.
    pub record: RecordLayout,
    /// The user's filters.
    pub filter: Filter,
}

const _: () = assert!(size_of::<Config>() == 4 * (4 + 13 + 6 + 10 + 13) + size_of::<Filter>());
const _: () = assert!(size_of::<Config>().is_multiple_of(8));

impl Config {
    /// Nothing known, nothing filtered, streaming.
    pub const EMPTY: Self = Self {
        mode: MODE_STREAM,
        known: 0,
        watermark: 0,
        reserved: 0,
        sock: SockLayout {
            family: 0,
            dport: 0,
            num: 0,
            daddr: 0,
            rcv_saddr: 0,
            v6_daddr: 0,
            v6_rcv_saddr: 0,
            net: 0,
            net_inum: 0,
            cookie: 0,
            protocol: 0,
            lock_owned: 0,
            err: 0,
        },
        tcp: TcpLayout {
            sport: 0,
            saddr: 0,
            bytes_acked: 0,
            bytes_received: 0,
            srtt_us: 0,
            total_retrans: 0,
        },
        task: TaskLayout {
            flags: 0,
            tgid: 0,
            pid: 0,
            comm: 0,
            cred: 0,
            cred_uid: 0,
            cgroups: 0,
            dfl_cgrp: 0,
            kn: 0,
            kn_id: 0,
        },
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
        filter: Filter::NONE,
    };
}
