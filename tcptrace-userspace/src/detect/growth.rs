//! By how much a namespace's counters grow while one watches.

use std::collections::HashMap;

use super::Sample;

/// Counters of network namespaces, by the names of `nstat`: at the first look and at the last.
#[derive(Default)]
pub(super) struct Growth(HashMap<(Option<u32>, &'static str), (u64, u64)>);

impl Growth {
    /// Notes where a counter stands, in every namespace that has it.
    pub(super) fn note(&mut self, sample: &Sample, name: &'static str) {
        for (netns, namespace) in &sample.namespaces {
            if let Some(count) = namespace.counters.get(name) {
                self.0.entry((*netns, name)).or_insert((*count, *count)).1 = *count;
            }
        }
    }

    /// By how much it has grown; 0 where it is not known.
    pub(super) fn of(&self, netns: Option<u32>, name: &'static str) -> u64 {
        self.0.get(&(netns, name)).map_or(0, |(first, last)| last.saturating_sub(*first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::NamespaceSample;

    #[test]
    fn grows_from_where_it_was_first_seen() {
        let sample = |count: Option<u64>| {
            let counters = count.map(|count| ("ListenDrops".to_owned(), count)).into_iter().collect();
            let namespaces = [(Some(7), NamespaceSample { counters, ..NamespaceSample::default() })].into();
            Sample { namespaces, ..Sample::default() }
        };
        let mut growth = Growth::default();
        for count in [None, Some(40), Some(42), None] {
            growth.note(&sample(count), "ListenDrops");
        }
        assert_eq!(growth.of(Some(7), "ListenDrops"), 2);
        assert_eq!((growth.of(Some(7), "SyncookiesSent"), growth.of(None, "ListenDrops")), (0, 0));
    }
}
