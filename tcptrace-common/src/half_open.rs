//! Half-open connections of a server: SYN received, final ACK not yet. The kernel keeps them as request sockets,
//! which change their state without the event that transitions come from.

use crate::Address;

/// [`HalfOpenRecord::kind`].
pub const KIND_HALF_OPEN: u16 = 3;

/// [`HalfOpenRecord::what`]: a SYN was queued; its SYN-ACK is about to go out.
pub const HALF_OPEN_SYN: u16 = 0;
/// [`HalfOpenRecord::what`]: the SYN-ACK went out once more.
pub const HALF_OPEN_RETRANSMIT: u16 = 1;

/// What happened to a half-open connection.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HalfOpenRecord {
    /// What kind of record this is: [`KIND_HALF_OPEN`].
    pub kind: u16,
    /// [`HALF_OPEN_SYN`] or [`HALF_OPEN_RETRANSMIT`].
    pub what: u16,
    /// Inode number of the network namespace; 0 when unknown.
    pub netns: u32,
    /// `bpf_ktime_get_ns()`: nanoseconds of `CLOCK_MONOTONIC`; where `TransitionRecord` has it.
    pub ktime_ns: u64,
    /// `SO_NETNS_COOKIE` of the network namespace, where the inode is not to be had; 0 when unknown.
    pub netns_cookie: u64,
    /// Socket cookie, which the child inherits; 0 when unknown.
    pub cookie: u64,
    /// `AF_INET` or `AF_INET6`.
    pub family: u16,
    /// Local port, host order.
    pub lport: u16,
    /// Remote port, host order.
    pub rport: u16,
    /// Always 0.
    pub reserved: u16,
    /// Local address: that of the SYN, not the listener's.
    pub laddr: Address,
    /// Remote address.
    pub raddr: Address,
}

const _: () = assert!(size_of::<HalfOpenRecord>() == 72);
const _: () = assert!(
    core::mem::offset_of!(HalfOpenRecord, ktime_ns)
        == core::mem::offset_of!(crate::TransitionRecord, ktime_ns)
);

/// One CPU's counters of half-open connections. `seen = delivered + filtered + sampled_out + lost`; they do not mix with those of the
/// transitions. Programs of several types add to them and may interrupt each other, so each addition is atomic.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HalfOpenCounters {
    /// SYNs queued.
    pub syns: u64,
    /// SYN-ACKs sent again.
    pub retransmits: u64,
    /// Of both: hidden by the user's filters.
    pub filtered: u64,
    /// Of both: lost because the ring had no room.
    pub lost_ring_full: u64,
    /// Of both: wanted and only counted, since there were too many; [`Level`](crate::Level).
    pub sampled_out: u64,
}

const _: () = assert!(size_of::<HalfOpenCounters>() == 8 * 5);

impl HalfOpenCounters {
    /// All that was seen.
    pub const fn seen(&self) -> u64 {
        self.syns.wrapping_add(self.retransmits)
    }

    /// Put on the ring, or on the way to it.
    pub const fn submitted(&self) -> u64 {
        self.seen()
            .wrapping_sub(self.filtered)
            .wrapping_sub(self.lost_ring_full)
            .wrapping_sub(self.sampled_out)
    }

    /// Adds another CPU's counters.
    pub const fn add(&mut self, other: &Self) {
        self.syns = self.syns.wrapping_add(other.syns);
        self.retransmits = self.retransmits.wrapping_add(other.retransmits);
        self.filtered = self.filtered.wrapping_add(other.filtered);
        self.lost_ring_full = self.lost_ring_full.wrapping_add(other.lost_ring_full);
        self.sampled_out = self.sampled_out.wrapping_add(other.sampled_out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_all_cpus() {
        let cpu =
            HalfOpenCounters { syns: 5, retransmits: 2, filtered: 1, lost_ring_full: 3, sampled_out: 1 };
        let mut sum = HalfOpenCounters::default();
        sum.add(&cpu);
        sum.add(&cpu);
        assert_eq!((sum.seen(), sum.submitted()), (14, 4));
    }
}
