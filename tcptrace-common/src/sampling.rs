//! Which sockets still get records when there are too many: a share of them by level, each with its whole life.

/// How much is left out. A storm of transitions raises it, calm lowers it.
///
/// At level n, one socket in 2^n gets records. Whoever has them at one level has them at every lower one, so that a
/// change of the level tears as few lives apart as it can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(pub u32);

impl Level {
    /// All sockets get records.
    pub const ALL: Self = Self(0);
    /// One socket in 1024: the least share that is of use.
    pub const LEAST: Self = Self(10);
    /// None does: transitions are only counted.
    pub const NONE: Self = Self(32);

    /// One socket in so many gets records; `None`: none does.
    pub const fn one_in(self) -> Option<u32> {
        if self.0 < Self::NONE.0 { Some(1 << self.0) } else { None }
    }

    /// Whether the socket with this key, its cookie or address, gets records.
    #[inline(always)]
    pub const fn keeps(self, key: u64) -> bool {
        match self.0 {
            0 => true,
            1..32 => mixed(key) >> (32 - self.0) == 0,
            _ => false,
        }
    }
}

/// Cookies and addresses have regular distances; their shares must not. A multiplication by the golden ratio spreads them
/// over the upper bits (Knuth, The Art of Computer Programming, 6.4).
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the upper half is folded into the lower one")]
const fn mixed(key: u64) -> u32 {
    ((key ^ key >> 32) as u32).wrapping_mul(0x9E37_79B9)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many keys at this distance are kept.
    fn kept(level: u32, distance: u64) -> usize {
        (1..=65_536).filter(|n| Level(level).keeps(0xffff_8881_0000_0000 + n * distance)).count()
    }

    #[test]
    fn shares_are_what_they_say_at_any_distance() {
        for (level, expected) in [(0, 65_536), (1, 32_768), (3, 8_192), (6, 1_024), (10, 64), (32, 0)] {
            // Cookies, cookies of one CPU's batch, and addresses of sockets in a slab.
            for distance in [1, 4_096, 2_432, 2_560] {
                let kept = kept(level, distance);
                assert!(kept.abs_diff(expected) <= expected / 4, "level {level}, {distance}: {kept}");
            }
        }
    }

    #[test]
    fn whoever_is_kept_is_kept_at_lower_levels() {
        for key in 0..100_000 {
            let kept = (0..=32).map(|level| Level(level).keeps(key));
            assert!(kept.is_sorted_by(|lower, higher| lower >= higher), "{key}");
        }
    }
}
