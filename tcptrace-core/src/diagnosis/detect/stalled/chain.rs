//! Chains of processes that wait for each other: a proxy that cannot send on reads nothing more, and is not the root.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{Culprit, Pile, Stalled};

/// For each who waits for another one, all that it waits for, however far behind.
pub(super) struct Chain {
    waits: BTreeMap<Culprit, BTreeSet<Culprit>>,
    /// By the one that is told of, how many wait for each other.
    rings: BTreeMap<Culprit, usize>,
}

impl Chain {
    pub(super) fn of(stalled: &Stalled) -> Self {
        let mut next: BTreeMap<Culprit, Vec<Culprit>> = BTreeMap::new();
        for culprit in stalled.last.keys() {
            let Culprit::Process(pid) = *culprit else { continue };
            // Who is stopped waits for nobody.
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

    /// Of those that wait for each other and for nobody else, the one with most connections is told of: it waits for none.
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

    /// Whether one waits for the other.
    fn waits(&self, culprit: Culprit, other: Culprit) -> bool {
        self.waits.get(&culprit).is_some_and(|others| others.contains(&other))
    }

    /// Whether it waits for nobody else.
    pub(super) fn is_root(&self, culprit: Culprit) -> bool {
        !self.waits.contains_key(&culprit)
    }

    /// Of how many it is one that wait for each other.
    pub(super) fn ring(&self, culprit: Culprit) -> Option<usize> {
        self.rings.get(&culprit).copied()
    }

    /// Those that wait for it.
    pub(super) fn those_behind(&self, culprit: Culprit) -> impl Iterator<Item = Culprit> {
        self.waits.iter().filter(move |(_, others)| others.contains(&culprit)).map(|(other, _)| *other)
    }
}

/// All that one comes to by these steps; itself as well where they lead back.
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
