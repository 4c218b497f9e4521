//! Per-CPU counters: the kernel side's exact account of what it saw and what became of it.

/// States per axis of the matrix: the kernel's 0..=12, rounded up so that a mask bounds the index.
pub const STATE_SLOTS: usize = 16;

/// One CPU's counters. `seen = delivered + filtered + sampled_out` holds at any quiet moment: every transition adds one to
/// `seen` and one to one of the others. If its batch then finds no room, it is in `lost_ring_full` as well.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// TCP transitions by old and new state, what filters hide and a full ring loses included.
    pub seen: [[u64; STATE_SLOTS]; STATE_SLOTS],
    /// Handed to the ring, those that it had no room for included; when nothing is streamed, counted only.
    pub delivered: u64,
    /// Hidden by the user's filters.
    pub filtered: u64,
    /// Lost because the ring had no room.
    pub lost_ring_full: u64,
    /// Transitions of sockets that are not TCP (MPTCP parents: 262); not in `seen`.
    pub other_protocol: u64,
    /// Events whose old and new state are the same; not in `seen`.
    pub same_state: u64,
    /// Signals (resets, retransmits, errors) that were handed to the ring; not in `seen`.
    pub signals_delivered: u64,
    /// Of these, lost because the ring had no room.
    pub signals_lost: u64,
    /// Transitions that were wanted and only counted, since there were too many; [`Level`](crate::Level).
    pub sampled_out: u64,
    /// The same of signals; not in `signals_delivered`.
    pub signals_sampled_out: u64,
}

const _: () = assert!(size_of::<Counters>() == 8 * (STATE_SLOTS * STATE_SLOTS + 9));

impl Counters {
    /// All zero.
    pub const ZERO: Self = Self {
        seen: [[0; STATE_SLOTS]; STATE_SLOTS],
        delivered: 0,
        filtered: 0,
        lost_ring_full: 0,
        other_protocol: 0,
        same_state: 0,
        signals_delivered: 0,
        signals_lost: 0,
        sampled_out: 0,
        signals_sampled_out: 0,
    };

    /// TCP transitions seen in all: the sum of the matrix.
    pub fn total_seen(&self) -> u64 {
        self.seen.iter().flatten().fold(0, |sum, count| sum.wrapping_add(*count))
    }

    /// Whether it is a quiet moment: no transition is between `seen` and what became of it. In user space, where what was
    /// lost is no longer counted as delivered.
    pub fn is_settled(&self) -> bool {
        let fates = [self.delivered, self.filtered, self.sampled_out, self.lost_ring_full];
        self.total_seen() == fates.into_iter().fold(0, u64::wrapping_add)
    }

    /// Adds another CPU's counters.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.seen.iter_mut().flatten().zip(other.seen.iter().flatten()) {
            *mine = mine.wrapping_add(*theirs);
        }
        self.delivered = self.delivered.wrapping_add(other.delivered);
        self.filtered = self.filtered.wrapping_add(other.filtered);
        self.lost_ring_full = self.lost_ring_full.wrapping_add(other.lost_ring_full);
        self.other_protocol = self.other_protocol.wrapping_add(other.other_protocol);
        self.same_state = self.same_state.wrapping_add(other.same_state);
        self.signals_delivered = self.signals_delivered.wrapping_add(other.signals_delivered);
        self.signals_lost = self.signals_lost.wrapping_add(other.signals_lost);
        self.sampled_out = self.sampled_out.wrapping_add(other.sampled_out);
        self.signals_sampled_out = self.signals_sampled_out.wrapping_add(other.signals_sampled_out);
    }
}

/// The matrix index of a state: itself up to 15, and the unused slot 0 for a number that no kernel has yet.
#[inline]
pub const fn state_slot(state: u8) -> usize {
    if (state as usize) < STATE_SLOTS { state as usize } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_add_up_and_unknown_states_share_slot_zero() {
        let mut sum = Counters::ZERO;
        let mut cpu = Counters::ZERO;
        cpu.seen[state_slot(7)][state_slot(10)] = 2;
        cpu.seen[state_slot(200)][state_slot(1)] = 3;
        cpu.delivered = 3;
        cpu.lost_ring_full = 1;
        (cpu.sampled_out, cpu.signals_sampled_out) = (1, 2);
        sum.add(&cpu);
        sum.add(&cpu);
        assert_eq!(sum.total_seen(), 10);
        assert_eq!(sum.seen[0][1], 6);
        assert_eq!((sum.delivered, sum.lost_ring_full, sum.filtered), (6, 2, 0));
        assert_eq!((sum.sampled_out, sum.signals_sampled_out), (2, 4));
        assert!(sum.is_settled());
        sum.seen[1][8] += 1;
        assert!(!sum.is_settled());
    }
}
