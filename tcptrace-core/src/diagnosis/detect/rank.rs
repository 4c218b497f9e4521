//! Counts by key, the greatest first.

use std::hash::Hash;

use crate::model::hash::HashMap;

/// The number of occurrences of each key, bounded.
#[derive(Clone, Debug)]
pub(super) struct Rank<K> {
    counts: HashMap<K, u64>,
}

/// The number of distinct keys; further keys are not counted.
const LIMIT: usize = 65_536;

impl<K> Default for Rank<K> {
    fn default() -> Self {
        Self { counts: HashMap::default() }
    }
}

impl<K: Clone + Eq + Hash + Ord> Rank<K> {
    /// Counts a key, and returns whether there was capacity for it.
    pub(super) fn add(&mut self, key: K) -> bool {
        let is_counted = self.counts.len() < LIMIT || self.counts.contains_key(&key);
        if is_counted {
            *self.counts.entry(key).or_default() += 1;
        }
        is_counted
    }

    /// Keeps the keys for which `is_left` is true.
    pub(super) fn retain(&mut self, is_left: impl Fn(&K) -> bool) {
        self.counts.retain(|key, _| is_left(key));
    }

    /// The number of distinct keys.
    pub(super) fn distinct(&self) -> u64 {
        self.counts.len() as u64
    }

    /// Whether there may be further keys that were not counted.
    pub(super) fn is_full(&self) -> bool {
        self.counts.len() >= LIMIT
    }

    /// The `count` greatest; among equal counts, the lesser key first, so that the order of arrival does not matter.
    pub(super) fn top(&self, count: usize) -> Vec<(K, u64)> {
        let mut all: Vec<_> = self.counts.iter().map(|(key, count)| (key.clone(), *count)).collect();
        all.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
        all.truncate(count);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_first_whatever_the_order() {
        for words in [["b", "a", "c", "c"], ["c", "a", "b", "c"]] {
            let mut rank = Rank::default();
            for word in words {
                rank.add(word);
            }
            assert_eq!(rank.top(2), [("c", 2), ("a", 1)]);
            assert_eq!(rank.distinct(), 3);
        }
    }
}
