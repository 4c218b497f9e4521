//! Records of signals: what happens to a connection beside its transitions, from trace events that are optional.

use core::mem::offset_of;

use crate::{Address, TransitionRecord};

/// [`ResetRecord::kind`].
pub const KIND_RESET: u16 = 2;
/// [`RetransmitRecord::kind`].
pub const KIND_RETRANSMIT: u16 = 4;
/// [`ErrorRecord::kind`].
pub const KIND_ERROR: u16 = 5;

/// [`AbortRecord::kind`].
pub const KIND_ABORT: u16 = 6;

/// A reset that was sent or received for a socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetRecord {
    /// What kind of record this is: [`KIND_RESET`].
    pub kind: u16,
    /// 1 when this side sent it, 0 when the peer did.
    pub sent: u16,
    /// `enum sk_rst_reason`; 0 (`SK_RST_REASON_NOT_SPECIFIED`) also where the kernel gives none.
    pub reason: u32,
    /// `bpf_ktime_get_ns()`.
    pub ktime_ns: u64,
    /// Address of the `struct sock`.
    pub skaddr: u64,
    /// Socket cookie; 0 where the kernel has none.
    pub cookie: u64,
    /// Local port, host order; 0 when unknown.
    pub lport: u16,
    /// Remote port, host order; 0 when unknown.
    pub rport: u16,
    /// Always 0.
    pub reserved: u32,
}

/// A segment that was sent again.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetransmitRecord {
    /// What kind of record this is: [`KIND_RETRANSMIT`].
    pub kind: u16,
    /// Always 0.
    pub reserved: u16,
    /// Always 0.
    pub padding: u32,
    /// `bpf_ktime_get_ns()`.
    pub ktime_ns: u64,
    /// Address of the `struct sock`.
    pub skaddr: u64,
}

/// An error that the kernel reports to a socket's program.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorRecord {
    /// What kind of record this is: [`KIND_ERROR`].
    pub kind: u16,
    /// Local port, host order.
    pub lport: u16,
    /// Remote port, host order.
    pub rport: u16,
    /// Always 0.
    pub reserved: u16,
    /// `bpf_ktime_get_ns()`.
    pub ktime_ns: u64,
    /// Local address.
    pub laddr: Address,
    /// Remote address.
    pub raddr: Address,
    /// `sk_err`: errno.
    pub error: i32,
    /// Always 0.
    pub padding: u32,
}

/// A socket that was destroyed from outside (`tcp_abort()`) when it was closed already: a listener, whose LISTEN -> CLOSE
/// comes before its error is set.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortRecord {
    /// What kind of record this is: [`KIND_ABORT`].
    pub kind: u16,
    /// Always 0.
    pub reserved: u16,
    /// Always 0.
    pub padding: u32,
    /// `bpf_ktime_get_ns()`.
    pub ktime_ns: u64,
    /// Address of the `struct sock`.
    pub skaddr: u64,
    /// Socket cookie; 0 where the kernel has none.
    pub cookie: u64,
}

const _: () = assert!(size_of::<AbortRecord>() == 32);
const _: () = assert!(offset_of!(AbortRecord, ktime_ns) == offset_of!(TransitionRecord, ktime_ns));
const _: () = assert!(size_of::<ResetRecord>() == 40);
const _: () = assert!(size_of::<RetransmitRecord>() == 24);
const _: () = assert!(size_of::<ErrorRecord>() == 56);
const _: () = assert!(offset_of!(ResetRecord, ktime_ns) == offset_of!(TransitionRecord, ktime_ns));
const _: () = assert!(offset_of!(RetransmitRecord, ktime_ns) == offset_of!(TransitionRecord, ktime_ns));
const _: () = assert!(offset_of!(ErrorRecord, ktime_ns) == offset_of!(TransitionRecord, ktime_ns));
