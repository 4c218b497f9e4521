//! Chains of processes that wait for each other. A proxy that cannot send on stops reading, and is not the root.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{Culprit, Pile, Stalled};

/// For each culprit that waits for another one: all culprits for which it waits, directly or indirectly.
pub(super) struct Chain {
    waits: BTreeMap<Culprit, BTreeSet<Culprit>>,
    /// The number of processes that wait for each other, by the one that is reported.
    rings: BTreeMap<Culprit, usize>,
}

impl Chain {
    pub(super) fn of(stalled: &Stalled) -> Self {
        let mut next: BTreeMap<Culprit, Vec<Culprit>> = BTreeMap::new();
        for culprit in stalled.last.keys() {
            let Culprit::Process(pid) = *culprit else { continue };
            // A stopped process waits for no other one.
            if stalled.is_stopped(*culprit) {
                continue;
            }
            let waits = |(other, pile): &(&Culprit, &Pile)| {
                *other != culprit && pile.closed > 0 && pile.waiters.has_owner(pid)
            };
            let others: Vec<Culprit> = stalled.last.iter().filter(waits).map(|(other, _)| *other).collect();
            if !others.is_empty() {
                next.insert(*culprit, others);
            }
        }
        let waits = next.keys().map(|culprit| (*culprit, all_behind(*culprit, &next))).collect();
        let mut behind = Self { waits, rings: BTreeMap::new() };
        behind.break_rings(stalled);
        behind
    }

    /// Breaks rings of processes that wait for each other and for no others: the one with the most connections is reported,
    /// as if it waited for none.
    fn break_rings(&mut self, stalled: &Stalled) {
        let count = |culprit: &Culprit| stalled.last.get(culprit).map_or(0, |pile| pile.count);
        let first = |culprit: &Culprit, others: &BTreeSet<Culprit>| {
            let is_ring = others.iter().all(|other| self.waits(*other, *culprit));
            is_ring && others.iter().min_by_key(|other| (Reverse(count(other)), **other)) == Some(culprit)
        };
        let firsts = self.waits.iter().filter(|(culprit, others)| first(culprit, others));
        self.rings = firsts.map(|(culprit, others)| (*culprit, others.len())).collect();
        self.waits.retain(|culprit, _| !self.rings.contains_key(culprit));
    }

    /// Whether one culprit waits for the other.
    fn waits(&self, culprit: Culprit, other: Culprit) -> bool {
        self.waits.get(&culprit).is_some_and(|others| others.contains(&other))
    }

    /// Whether a culprit waits for no other one.
    pub(super) fn is_root(&self, culprit: Culprit) -> bool {
        !self.waits.contains_key(&culprit)
    }

    /// The size of its ring: the number of processes that wait for each other; `None` where it is reported for no ring.
    pub(super) fn ring(&self, culprit: Culprit) -> Option<usize> {
        self.rings.get(&culprit).copied()
    }

    /// The culprits that wait for it.
    pub(super) fn those_behind(&self, culprit: Culprit) -> impl Iterator<Item = Culprit> {
        self.waits.iter().filter(move |(_, others)| others.contains(&culprit)).map(|(other, _)| *other)
    }
}

/// All culprits that are reachable by these steps, the start included where a step leads back to it.
fn all_behind(from: Culprit, next: &BTreeMap<Culprit, Vec<Culprit>>) -> BTreeSet<Culprit> {
    let mut all = BTreeSet::new();
    let mut ahead = vec![from];
    while let Some(culprit) = ahead.pop() {
        for other in next.get(&culprit).into_iter().flatten() {
            if all.insert(*other) {
                ahead.push(*other);
            }
        }
    }
    all
}
