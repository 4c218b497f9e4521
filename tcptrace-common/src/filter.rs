//! The user's filters, evaluated by the kernel side before it reserves room for a record, and once more by
//! user space for what was undecided there.

use crate::{Address, Prefix};

/// Prefixes per direction.
pub const MAX_PREFIXES: usize = 8;

/// Which transitions to report. Zero in a field means that it does not matter.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// 1 when anything below is set.
    pub active: u32,
    /// 4 or 6; an IPv6 socket that talks IPv4 (v4-mapped) counts as 4.
    pub family: u32,
    /// Inode number of a network namespace.
    pub netns: u32,
    /// Process whose sockets are wanted.
    pub tgid: u32,
    /// 1 when the local port must be in the local port set.
    pub by_lport: u32,
    /// 1 when the remote port must be in the remote port set.
    pub by_rport: u32,
    /// Bit per state: the old state must be one of them.
    pub old_states: u32,
    /// Bit per state: the new state must be one of them.
    pub new_states: u32,
    /// Bit per state: the old or the new state must be one of them.
    pub states: u32,
    /// Used entries of `local`.
    pub locals: u32,
    /// Used entries of `remote`.
    pub remotes: u32,
    /// Always 0.
    pub reserved: u32,
    /// The local address must lie in one of these.
    pub local: [Prefix; MAX_PREFIXES],
    /// The remote address must lie in one of these.
    pub remote: [Prefix; MAX_PREFIXES],
}

const _: () = assert!(size_of::<Filter>() == 48 + 2 * 32 * MAX_PREFIXES);

/// What [`Filter`] looks at, apart from the ports and the process.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Local address.
    pub laddr: Address,
    /// Remote address.
    pub raddr: Address,
    /// Network namespace inode.
    pub netns: u32,
    /// Socket family is `AF_INET`.
    pub inet: bool,
}

impl Filter {
    /// Everything passes.
    pub const NONE: Self = Self {
        active: 0,
        family: 0,
        netns: 0,
        tgid: 0,
        by_lport: 0,
        by_rport: 0,
        old_states: 0,
        new_states: 0,
        states: 0,
        locals: 0,
        remotes: 0,
        reserved: 0,
        local: [Prefix { net: [0; 2], mask: [0; 2] }; MAX_PREFIXES],
        remote: [Prefix { net: [0; 2], mask: [0; 2] }; MAX_PREFIXES],
    };

    /// Whether any of the state filters is set.
    #[inline]
    pub const fn by_state(&self) -> bool {
        self.old_states != 0 || self.new_states != 0 || self.states != 0
    }

    /// Whether the states of a transition pass.
    #[inline(always)]
    pub fn states_pass(&self, old: u8, new: u8) -> bool {
        let (old, new) = (bit(old), bit(new));
        (self.old_states == 0 || self.old_states & old != 0)
            && (self.new_states == 0 || self.new_states & new != 0)
            && (self.states == 0 || self.states & (old | new) != 0)
    }

    /// Whether any filter looks at what only a connection has: its addresses, their family, the remote port.
    #[inline(always)]
    pub const fn by_peer(&self) -> bool {
        self.family != 0 || self.locals != 0 || self.remotes != 0 || self.by_rport != 0
    }

    /// Whether the namespace passes.
    #[inline(always)]
    pub const fn netns_passes(&self, subject: &Subject) -> bool {
        self.netns == 0 || self.netns == subject.netns
    }

    /// Whether family and addresses pass.
    #[inline(always)]
    pub fn addresses_pass(&self, subject: &Subject) -> bool {
        if self.family != 0 {
            let v4 = subject.inet || subject.laddr.is_v4() || subject.raddr.is_v4();
            if v4 != (self.family == 4) {
                return false;
            }
        }
        in_any(&self.local, self.locals, subject.laddr) && in_any(&self.remote, self.remotes, subject.raddr)
    }
}

/// Whether `address` lies in one of the first `used` prefixes; without any, it does.
#[inline(always)]
fn in_any(prefixes: &[Prefix; MAX_PREFIXES], used: u32, address: Address) -> bool {
    if used == 0 {
        return true;
    }
    let mut i = 0;
    while i < MAX_PREFIXES {
        if i >= used as usize {
            return false;
        }
        if prefixes[i].contains(address) {
            return true;
        }
        i += 1;
    }
    false
}

#[inline(always)]
const fn bit(state: u8) -> u32 {
    1_u32 << (state & 31)
}

/// Whether `port` is in a set of 65,536 bits.
#[inline(always)]
pub fn port_in_set(set: &[u64; 1024], port: u16) -> bool {
    set[usize::from(port >> 6)] & (1_u64 << (port & 63)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(laddr: Address, inet: bool) -> Subject {
        Subject { laddr, raddr: Address::UNSPECIFIED, netns: 1, inet }
    }

    #[test]
    fn nothing_set_passes_everything() {
        assert!(Filter::NONE.states_pass(7, 10));
        assert!(Filter::NONE.addresses_pass(&subject(Address::UNSPECIFIED, false)));
    }

    #[test]
    fn a_mapped_socket_is_ipv4() {
        let mapped = subject(Address::from_v4([192, 0, 2, 1]), false);
        assert!(Filter { family: 4, ..Filter::NONE }.addresses_pass(&mapped));
        assert!(!Filter { family: 6, ..Filter::NONE }.addresses_pass(&mapped));
        assert!(Filter { family: 6, ..Filter::NONE }.addresses_pass(&subject(Address::UNSPECIFIED, false)));
    }

    #[test]
    fn states_combine() {
        let filter = Filter { old_states: bit(1), new_states: bit(8) | bit(4), ..Filter::NONE };
        assert!(filter.states_pass(1, 8) && filter.states_pass(1, 4));
        assert!(!filter.states_pass(8, 9) && !filter.states_pass(1, 7));
        let either = Filter { states: bit(8), ..Filter::NONE };
        assert!(either.states_pass(1, 8) && either.states_pass(8, 9) && !either.states_pass(9, 7));
    }

    #[test]
    fn any_of_several_prefixes() {
        let mut filter = Filter { locals: 2, ..Filter::NONE };
        filter.local[0] = Prefix::new(Address::from_v4([198, 51, 100, 0]), 96 + 24);
        filter.local[1] = Prefix::new(Address::from_v4([192, 0, 2, 0]), 96 + 24);
        assert!(filter.addresses_pass(&subject(Address::from_v4([192, 0, 2, 9]), true)));
        assert!(!filter.addresses_pass(&subject(Address::from_v4([203, 0, 113, 9]), true)));
    }

    #[test]
    fn ports_at_both_ends_of_the_set() {
        let mut set = [0_u64; 1024];
        set[0] = 1;
        set[1023] = 1 << 63;
        assert!(port_in_set(&set, 0) && port_in_set(&set, 65535) && !port_in_set(&set, 1));
    }
}
