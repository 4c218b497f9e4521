//! A table of limited size: SYNs from very many sources must not make the watch run out of memory.

use std::hash::Hash;

use crate::model::hash::HashMap;

/// The default capacity of a table.
pub(super) const TOLD_APART: usize = 65_536;

/// Entries by their keys, at most `ROOM`; each key that does not fit is counted.
pub(super) struct Bounded<K, V, const ROOM: usize = TOLD_APART> {
    entries: HashMap<K, V>,
    left_out: u64,
}

impl<K, V, const ROOM: usize> Default for Bounded<K, V, ROOM> {
    fn default() -> Self {
        Self { entries: HashMap::default(), left_out: 0 }
    }
}

impl<K: Eq + Hash, V: Default, const ROOM: usize> Bounded<K, V, ROOM> {
    /// The entry of this key. Where the key has none and the table is full, counts it as left out and returns `None`.
    pub(super) fn entry(&mut self, key: K) -> Option<&mut V> {
        if self.is_full() && !self.entries.contains_key(&key) {
            self.left_out += 1;
            return None;
        }
        Some(self.entries.entry(key).or_default())
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.entries.iter_mut()
    }

    /// Whether the table has no capacity for another key.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= ROOM
    }

    /// Keeps the entries for which `is_left` is true. The others would never be reported, so they do not count as left out.
    pub(super) fn retain(&mut self, is_left: impl FnMut(&K, &mut V) -> bool) {
        self.entries.retain(is_left);
    }

    /// Where the table is full, removes the entries that are not worth keeping. It goes through all entries: call it once
    /// per scan, not per event. Removed entries count as left out.
    pub(super) fn make_room(&mut self, is_worth_keeping: impl FnMut(&K, &V) -> bool) {
        let before = self.entries.len();
        self.drop_idle(is_worth_keeping);
        self.left_out += (before - self.entries.len()) as u64;
    }

    /// The same for entries that would never be reported: they do not count as left out.
    pub(super) fn drop_idle(&mut self, mut is_worth_keeping: impl FnMut(&K, &V) -> bool) {
        if self.is_full() {
            self.entries.retain(|key, value| is_worth_keeping(key, value));
        }
    }

    /// How often the table had no capacity.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_counted() {
        let mut table: Bounded<u8, u64, 2> = Bounded::default();
        for key in [1, 2, 3, 1, 3] {
            if let Some(count) = table.entry(key) {
                *count += 1;
            }
        }
        assert_eq!((table.get(&1), table.get(&2), table.get(&3)), (Some(&2), Some(&1), None));
        assert_eq!(table.left_out(), 2);
        table.make_room(|_, count| *count > 1);
        assert!(table.entry(3).is_some());
        assert_eq!((table.iter().count(), table.left_out()), (2, 3), "one was forgotten");
        table.drop_idle(|key, _| *key == 3);
        assert_eq!((table.iter().count(), table.left_out()), (1, 3));
    }
}
