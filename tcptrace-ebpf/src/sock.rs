//! What every probe must be able to tell of the socket whose state changes.

use tcptrace_common::{Address, CloseMetrics};

/// Addresses and ports of a connection.
#[derive(Clone, Copy)]
pub(crate) struct Tuple {
    /// `AF_INET` or `AF_INET6`.
    pub(crate) family: u16,
    /// Host order.
    pub(crate) lport: u16,
    /// Host order.
    pub(crate) rport: u16,
    pub(crate) laddr: Address,
    pub(crate) raddr: Address,
}

/// A socket as one probe sees it. Unknown values are 0 or `None`.
pub(crate) trait Sock {
    /// Address of the `struct sock`.
    fn address(&self) -> u64;
    fn tuple(&self) -> Tuple;
    /// Inode of the network namespace.
    fn netns(&self) -> u32;
    fn cookie(&self) -> u64;
    /// `sk_lock.owned`: a process holds the socket.
    fn lock_owned(&self) -> Option<bool>;
    /// `sk_err`.
    fn error(&self) -> Option<i32>;
    fn close_metrics(&self) -> Option<CloseMetrics>;
}
