//! Keeps each owner once: a process has many sockets, and each socket has many transitions.

use std::sync::Arc;

use crate::model::owner::Owner;

/// The number of owners to remember.
const PLACES: usize = 256;

/// The owners that acted lately. The process id determines the place of an owner; the next owner with the same place
/// replaces it.
pub(super) struct Owners {
    places: Vec<Option<Arc<Owner>>>,
    /// Where the next [`Self::some`] begins.
    next: usize,
}

impl Default for Owners {
    fn default() -> Self {
        Self { places: vec![None; PLACES], next: 0 }
    }
}

impl Owners {
    /// Returns the remembered owner if it is the same, so that both share it; else it remembers this one.
    pub(super) fn share(&mut self, owner: impl Into<Arc<Owner>>) -> Arc<Owner> {
        let owner = owner.into();
        let place = &mut self.places[owner.pid as usize % PLACES];
        match place {
            Some(known) if *known == owner => Arc::clone(known),
            place => Arc::clone(place.insert(owner)),
        }
    }

    /// The next `most` owners, in turn.
    pub(super) fn some(&mut self, most: usize) -> Vec<Arc<Owner>> {
        let places = (self.next..self.next + PLACES).map(|place| place % PLACES);
        let taken = places.filter_map(|place| Some((place, self.places[place].clone()?)));
        let (places, owners): (Vec<usize>, Vec<Arc<Owner>>) = taken.take(most).unzip();
        self.next = places.last().map_or(0, |place| place + 1);
        owners
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::owner::Provenance;

    #[test]
    fn the_same_is_shared_until_another_one_takes_its_place() {
        let owner = |pid, uid| Owner {
            pid,
            uid,
            comm: *b"nginx\0\0\0\0\0\0\0\0\0\0\0",
            provenance: Provenance::Exact,
            others: None,
            process: None,
        };
        let mut owners = Owners::default();
        let first = owners.share(owner(7, 0));
        assert!(Arc::ptr_eq(&first, &owners.share(owner(7, 0))));
        let changed = owners.share(owner(7, 33));
        assert_eq!((first.uid, changed.uid), (0, 33));
        assert!(!Arc::ptr_eq(&first, &owners.share(owner(7, 0))));
        for pid in [8, 9] {
            owners.share(owner(pid, 0));
        }
        let mut some = |most| owners.some(most).iter().map(|owner| owner.pid).collect::<Vec<_>>();
        assert_eq!((some(2), some(2), some(9).len()), (vec![7, 8], vec![9, 7], 3));
    }
}
