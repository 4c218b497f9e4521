//! The growth of a namespace's counters during a watch.

use std::collections::HashMap;

use super::Sample;
use crate::model::evidence::EvidenceValue;

/// Counters of network namespaces, by their names in `nstat`: at the first and at the last scan. The kernel reuses the inode
/// of a namespace that is gone; the counters of the new namespace begin at zero.
#[derive(Default)]
pub(super) struct Growth(HashMap<(Option<u32>, &'static str), (u64, u64)>);

impl Growth {
    /// Records a counter in every namespace that has it.
    pub(super) fn note(&mut self, sample: &Sample, name: &'static str) {
        for (netns, namespace) in &sample.namespaces {
            if let Some(count) = namespace.counters.get(name) {
                let (before, after) = self.0.entry((*netns, name)).or_insert((*count, *count));
                if *count < *after {
                    *before = 0;
                }
                *after = *count;
            }
        }
    }

    /// The growth of a counter; zero where it is unknown.
    pub(super) fn of(&self, netns: Option<u32>, name: &'static str) -> Grown {
        let (before, after) = self.0.get(&(netns, name)).copied().unwrap_or_default();
        Grown { before, after }
    }
}

/// A counter at the first and at the last scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Grown {
    before: u64,
    after: u64,
}

impl Grown {
    /// The amount of growth.
    pub(super) fn by(self) -> u64 {
        self.after.saturating_sub(self.before)
    }
}

impl From<Grown> for EvidenceValue {
    fn from(grown: Grown) -> Self {
        Self::Growth { from: grown.before, to: grown.after, within: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::namespace::NamespaceSample;

    /// A scan of namespace 7.
    fn sample(count: Option<u64>) -> Sample {
        let counters = count.map(|count| ("ListenDrops".to_owned(), count)).into_iter().collect();
        let namespaces = [(Some(7), NamespaceSample { counters, ..NamespaceSample::default() })].into();
        Sample { namespaces, ..Sample::default() }
    }

    #[test]
    fn another_namespace_of_the_same_inode_begins_at_zero() {
        let mut growth = Growth::default();
        for count in [1_000, 1_002, 3, 5] {
            growth.note(&sample(Some(count)), "ListenDrops");
        }
        assert_eq!(growth.of(Some(7), "ListenDrops"), Grown { before: 0, after: 5 });
    }

    #[test]
    fn grows_from_where_it_was_first_seen() {
        let mut growth = Growth::default();
        for count in [None, Some(40), Some(42), None] {
            growth.note(&sample(count), "ListenDrops");
        }
        let drops = growth.of(Some(7), "ListenDrops");
        assert_eq!((drops.by(), drops), (2, Grown { before: 40, after: 42 }));
        let unknown = [growth.of(Some(7), "SyncookiesSent"), growth.of(None, "ListenDrops")];
        assert_eq!(unknown, [Grown::default(); 2]);
    }
}
