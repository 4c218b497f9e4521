//! What every probe must be able to tell of the socket whose state changes.

use tcptrace_common::{Address, CloseEvidence, CloseMetrics, EvidenceFlags, Fact, Known};

use crate::config::{config, known};

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
    /// Writes the final figures; `false` where they are not known.
    ///
    /// # Safety
    /// There is room for them.
    unsafe fn close_metrics(&self, to: *mut CloseMetrics) -> bool;
    /// Writes why it closes; `false` where that is not known.
    ///
    /// # Safety
    /// There is room for it.
    unsafe fn close_evidence(&self, to: *mut CloseEvidence) -> bool;
    /// Index of the device that it is bound to; 0 for none, also where that is not known.
    fn bound_device(&self) -> u32;
    /// Whether it has been in the table of listeners; `false` also where that is not known.
    fn has_listened(&self) -> bool;
    /// Whether another listener than the one at its address may have made it: a program at `sk_lookup` is there, or it is
    /// transparent; `false` also where that is not known.
    fn may_be_steered(&self) -> bool;
}

/// Fields that hold the bits of [`Fact`].
pub(crate) struct Bits {
    /// The byte that has `repair`.
    pub(crate) repair: u8,
    /// The byte that has `defer_connect`.
    pub(crate) deferred: u8,
    /// `skc_flags`.
    pub(crate) flags: u64,
    /// `skc_num`.
    pub(crate) num: u16,
    pub(crate) write_seq: u32,
}

impl Bits {
    /// [`CloseEvidence::facts`].
    #[inline(always)]
    pub(crate) fn facts(&self) -> u32 {
        let masks = &config().masks;
        let mut facts = Fact::Bound.said(self.num != 0) | Fact::Sequenced.said(self.write_seq != 0);
        if known(Known::REPAIR) {
            facts |= Fact::Repair.said(u32::from(self.repair) & masks.repair != 0);
        }
        if known(Known::DEFERRED) {
            facts |= Fact::Deferred.said(u32::from(self.deferred) & masks.deferred != 0);
        }
        if known(Known::LISTENED) {
            facts |= Fact::Listened.said(has_listened(self.flags));
        }
        facts
    }
}

/// Whether `skc_flags` has `SOCK_RCU_FREE`.
#[inline(always)]
pub(crate) fn has_listened(flags: u64) -> bool {
    flags >> (config().masks.rcu_free & 63) & 1 != 0
}

/// `SOCK_DONE` in `enum sock_flags`, `include/net/sock.h`: a bit of `skc_flags`.
const SOCK_DONE: u64 = 1;
/// `SOCK_LINGER`.
const SOCK_LINGER: u64 = 4;

/// [`EvidenceFlags`] from a socket's `skc_flags` and `sk_lingertime`.
#[inline(always)]
pub(crate) fn evidence_flags(flags: u64, lingertime: u64) -> u8 {
    let done = flags >> SOCK_DONE & 1 != 0;
    let linger_zero = flags >> SOCK_LINGER & 1 != 0 && lingertime == 0;
    (if done { EvidenceFlags::DONE } else { 0 }) | (if linger_zero { EvidenceFlags::LINGER_ZERO } else { 0 })
}
