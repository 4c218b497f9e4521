//! What both sides of tcptrace must agree on: the records on the ring buffer, the counters, and the
//! settings that user space writes into the kernel object before loading it.
//!
//! Everything here is `#[repr(C)]`, without padding holes, and its size is asserted at compile time:
//! a change on one side that the other does not know of fails to build.

#![no_std]

mod addr;
mod batch;
mod counters;
mod fields;
mod filter;
mod half_open;
mod holder;
mod layout;
mod owner;
mod record;
mod sampling;
mod signal;
mod state;

pub use addr::{Address, Prefix};
pub use batch::{BATCH_BYTES, BATCH_FULL, Flushed, LARGEST_RECORD, Waiting};
pub use counters::{Counters, STATE_SLOTS, state_slot};
pub use fields::{Fields, FileLayout, SockLayout, TaskLayout, TcpLayout};
pub use filter::{Filter, MAX_PREFIXES, Subject, port_in_set};
pub use half_open::{HALF_OPEN_RETRANSMIT, HALF_OPEN_SYN, HalfOpenCounters, HalfOpenRecord, KIND_HALF_OPEN};
pub use holder::HolderRecord;
pub use layout::{Config, EndsLayout, Known, MODE_COUNT, MODE_STREAM, Masks, RecordLayout, SignalLayout};
pub use owner::context_owns;
pub use record::{
    CloseEvidence, CloseMetrics, ClosingRecord, DeviceRecord, EvidenceFlags, Fact, KIND_TRANSITION,
    RecordFlags, TransitionRecord,
};
pub use sampling::Level;
pub use signal::{
    AbortRecord, ErrorRecord, KIND_ABORT, KIND_ERROR, KIND_RESET, KIND_RETRANSMIT, ResetRecord,
    RetransmitRecord,
};
pub use state::{STATE_NAMES, TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN, TCP_SYN_RECV, TCP_SYN_SENT};

/// `AF_INET`, `include/linux/socket.h`.
pub const AF_INET: u16 = 2;
/// `AF_INET6`, `include/linux/socket.h`.
pub const AF_INET6: u16 = 10;
/// `IPPROTO_TCP`, `include/uapi/linux/in.h`. MPTCP's parent sockets carry 262 instead.
pub const IPPROTO_TCP: u16 = 6;
/// `IPPROTO_MPTCP`: the socket that a program has of a multipath connection.
pub const IPPROTO_MPTCP: u16 = 262;
/// `SOCK_STREAM`, `include/linux/net.h`.
pub const SOCK_STREAM: u16 = 1;
/// `ECONNABORTED`: `tcp_abort()` leaves it in `sk_err` when another process destroys the socket (`ss -K`).
pub const ECONNABORTED: i32 = 103;
