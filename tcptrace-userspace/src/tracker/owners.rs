//! Owners, each once: a process has many sockets, and each of these many transitions.

use std::sync::Arc;

use crate::owner::Owner;

/// How many are remembered.
const PLACES: usize = 256;

/// Who acted lately. Each has one place, by its process, which the next one takes over.
pub(super) struct Owners {
    places: Vec<Option<Arc<Owner>>>,
}

impl Default for Owners {
    fn default() -> Self {
        Self { places: vec![None; PLACES] }
    }
}

impl Owners {
    /// The same owner, as those have it who had it lately.
    pub(super) fn share(&mut self, owner: Owner) -> Arc<Owner> {
        let place = &mut self.places[owner.pid as usize % PLACES];
        match place {
            Some(known) if **known == owner => Arc::clone(known),
            place => Arc::clone(place.insert(Arc::new(owner))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owner::Provenance;

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
    }
}
