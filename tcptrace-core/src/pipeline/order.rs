//! Sorts records by their time. Each CPU sends its records in batches, so records leave the ring in runs.

use std::collections::VecDeque;

use crate::pipeline::decode::{is_half_open, is_retransmit, is_signal, ktime_ns, records};

/// Records between the ring and the tracker, as bytes. A live trace adds no more of them at a time than the ring holds; a
/// capture may add any number.
#[derive(Default)]
pub(super) struct Order {
    /// The records that were added from one release to the next, each part in its own memory; the oldest part first. A part
    /// is dropped as a whole, so that records that still wait need not be moved.
    parts: VecDeque<Part>,
    /// Bytes of all parts.
    len: usize,
    /// The memory of the parts that were dropped last, for reuse. If it were freed, the kernel would have to provide it
    /// again, page by page.
    spare: Vec<Vec<u8>>,
    places: Vec<Place>,
    /// The number of `places` that were handed out so far.
    taken: usize,
    /// The number of `places` that are sorted, and older than every record that is still to come.
    ready: usize,
    added: Added,
}

/// Takes records as they leave the ring, before their turn.
pub(super) trait Ahead {
    /// Reads the record of a transition, or a record of an unknown kind.
    fn transition(&mut self, record: &[u8], ktime_ns: u64);

    /// Takes a signal that shows why a connection ends. Its transition may be older or newer, so the signal has no turn.
    fn signal(&mut self, record: &[u8]);

    /// Reads a record of a half-open connection.
    fn half_open(&mut self, record: &[u8]);
}

/// The most parts at a time. A poll of the ring needs three: for the records that it found, for those that waited, and for
/// those to come.
const PARTS: usize = 8;

/// The most spare parts: one release may drop two parts, and the next one none.
const SPARE: usize = 2;

#[derive(Default)]
struct Part {
    bytes: Vec<u8>,
    /// The number of records that were not handed out yet.
    left: usize,
}

/// The numbers of records that were added in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Added {
    /// Transitions, and records of unknown kinds.
    pub transitions: u64,
    /// Signals.
    pub signals: u64,
    /// Records of half-open connections.
    pub half_open: u64,
}

/// The place of a record in the bytes of all parts.
#[derive(Clone, Copy)]
struct Place {
    ktime_ns: u64,
    start: usize,
    len: usize,
}

impl Order {
    /// Adds the records of one entry of the ring. First, it passes each of them but retransmits to `ahead`.
    pub(super) fn add(&mut self, entry: &[u8], ahead: &mut impl Ahead) {
        if self.parts.is_empty() {
            self.parts.push_back(Part::default());
        }
        let Some(part) = self.parts.back_mut() else { return };
        let (before, left) = (part.bytes.len(), part.left);
        part.bytes.extend_from_slice(entry);
        let mut start = self.len;
        for record in records(entry) {
            let place = Place { ktime_ns: ktime_ns(record), start, len: record.len() };
            start += record.len();
            let added = &mut self.added;
            if is_signal(record) {
                added.signals += 1;
                if !is_retransmit(record) {
                    ahead.signal(record);
                    continue;
                }
            } else if is_half_open(record) {
                added.half_open += 1;
                ahead.half_open(record);
            } else {
                added.transitions += 1;
                ahead.transition(record, place.ktime_ns);
            }
            self.places.push(place);
            part.left += 1;
        }
        if part.left == left {
            // No record of the entry has a turn.
            part.bytes.truncate(before);
        } else {
            self.len += entry.len();
        }
    }

    /// How many records were added in all.
    pub(super) fn added(&self) -> Added {
        self.added
    }

    /// Makes every record up to this time ready. No older record is still to come.
    pub(super) fn release(&mut self, until_ns: u64) {
        self.forget_taken();
        // Records of the same time stay in the order in which they came. A stable sort would allocate memory each time, and
        // each time the allocator would first tidy up its free memory.
        self.places.sort_unstable_by_key(|place| (place.ktime_ns, place.start));
        if self.parts.len() >= PARTS {
            self.join();
        }
        self.parts.push_back(Part { bytes: self.spare.pop().unwrap_or_default(), left: 0 });
        self.ready = self.places.partition_point(|place| place.ktime_ns <= until_ns);
    }

    /// Whether no record is ready.
    pub(super) fn is_drained(&self) -> bool {
        self.taken == self.ready
    }

    /// The number of records that were not handed out yet.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.taken
    }

    /// The bytes kept for records and their places: a record may be smaller than its place.
    pub(super) fn bytes(&self) -> usize {
        self.len + self.places.len() * size_of::<Place>()
    }

    /// The next record that is ready.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        let place = *self.places.get(self.taken..self.ready)?.first()?;
        self.taken += 1;
        let (number, start) = self.find(place)?;
        let part = self.parts.get_mut(number)?;
        part.left -= 1;
        part.bytes.get(start..start + place.len)
    }

    /// The number of the part that a place is in, and the offset in that part.
    fn find(&self, place: Place) -> Option<(usize, usize)> {
        let mut start = place.start;
        for (number, part) in self.parts.iter().enumerate() {
            if start < part.bytes.len() {
                return Some((number, start));
            }
            start -= part.bytes.len();
        }
        None
    }

    /// Drops the records that have been handed out.
    fn forget_taken(&mut self) {
        self.places.drain(..self.taken);
        (self.taken, self.ready) = (0, 0);
        let mut forgotten = 0;
        while let Some(mut part) = self.parts.pop_front_if(|part| part.left == 0) {
            forgotten += part.bytes.len();
            if self.spare.len() < SPARE {
                part.bytes.clear();
                self.spare.push(part.bytes);
            }
        }
        self.len -= forgotten;
        for place in &mut self.places {
            place.start -= forgotten;
        }
    }

    /// Joins all parts into one, in the order of `places`, so that records of the same time keep their order. Without that,
    /// a record that waits for long would keep all parts after its own in memory.
    fn join(&mut self) {
        let mut places = std::mem::take(&mut self.places);
        let mut bytes = Vec::new();
        for place in &mut places {
            let start = bytes.len();
            if let Some((number, from)) = self.find(*place) {
                bytes.extend_from_slice(&self.parts[number].bytes[from..from + place.len]);
            }
            place.start = start;
        }
        self.places = places;
        self.len = bytes.len();
        self.parts.clear();
        self.parts.push_back(Part { bytes, left: self.places.len() });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tcptrace_common::{ClosingRecord, KIND_TRANSITION, RecordFlags, TransitionRecord};

    use super::*;

    struct Nobody;

    impl Ahead for Nobody {
        fn transition(&mut self, _record: &[u8], _ktime_ns: u64) {}

        fn signal(&mut self, _record: &[u8]) {}

        fn half_open(&mut self, _record: &[u8]) {}
    }

    /// A record of this time. Its size shows whether it is `closing`.
    fn record(ktime_ns: u64, closing: bool) -> Vec<u8> {
        let (flags, len) = if closing {
            (RecordFlags::METRICS, size_of::<ClosingRecord>())
        } else {
            (0, size_of::<TransitionRecord>())
        };
        let mut bytes = Vec::new();
        bytes.extend(KIND_TRANSITION.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(0_u32.to_ne_bytes());
        bytes.extend(ktime_ns.to_ne_bytes());
        bytes.resize(len, 0);
        bytes
    }

    fn take_all(order: &mut Order) -> Vec<(u64, usize)> {
        let mut taken = Vec::new();
        while let Some(record) = order.next() {
            taken.push((ktime_ns(record), record.len()));
        }
        taken
    }

    #[test]
    fn nothing_is_handed_out_before_its_time() {
        let mut order = Order::default();
        order.add(&[record(5, false), record(9, true)].concat(), &mut Nobody);
        order.add(&record(3, false), &mut Nobody);
        assert!(order.next().is_none() && order.is_drained());
        order.release(5);
        assert_eq!(take_all(&mut order), [(3, 120), (5, 120)]);
        order.add(&record(7, false), &mut Nobody);
        order.release(9);
        assert_eq!(take_all(&mut order), [(7, 120), (9, 168)]);
    }

    #[test]
    fn one_that_waits_for_long_keeps_no_others() {
        let mut order = Order::default();
        order.add(&record(1_000, true), &mut Nobody);
        for at in 0..100 {
            order.add(
                &[record(2 * at, false), record(2 * at + 1, false), record(900, false)].concat(),
                &mut Nobody,
            );
            order.release(2 * at);
            assert_eq!(take_all(&mut order).last(), Some(&(2 * at, 120)));
            assert!(order.parts.len() <= PARTS);
        }
        // Only these are left: the records that wait, and those that a few releases have handed out.
        assert_eq!(order.len(), 102);
        assert!(order.len < 168 + 101 * 120 + PARTS * 360, "{} bytes", order.len);
        order.release(1_000);
        assert_eq!(take_all(&mut order).last(), Some(&(1_000, 168)));
    }

    proptest! {
        /// For any entries, released and taken at any time: every record is handed out once, and those of one release in the
        /// order of their time.
        #[test]
        fn every_record_once_and_in_order(
            rounds in prop::collection::vec(
                (prop::collection::vec(prop::collection::vec((0_u64..50, any::<bool>()), 0..6), 0..4), 0_u64..50, 0_usize..9),
                0..24,
            )
        ) {
            let mut order = Order::default();
            let (mut added, mut taken) = (Vec::new(), Vec::new());
            for (entries, until, patience) in rounds {
                for entry in entries {
                    order.add(&entry.iter().flat_map(|&(at, closing)| record(at, closing)).collect::<Vec<_>>(), &mut Nobody);
                    added.extend(entry.into_iter().map(|(at, _)| at));
                }
                order.release(until);
                let part: Vec<_> = std::iter::from_fn(|| order.next().map(ktime_ns)).take(patience).collect();
                prop_assert!(part.is_sorted());
                taken.extend(part);
            }
            order.release(u64::MAX);
            taken.extend(take_all(&mut order).into_iter().map(|(at, _)| at));
            added.sort_unstable();
            taken.sort_unstable();
            prop_assert_eq!(added, taken);
        }

        /// All bytes are handed out, whatever they are, except the signals that `ahead` takes.
        #[test]
        fn no_byte_is_lost(
            entries in prop::collection::vec(
                prop_oneof![
                    4 => prop::collection::vec(any::<u8>(), 0..300),
                    1 => prop::collection::vec(0_u8..9, 0..40),
                ],
                0..5,
            )
        ) {
            let mut order = Order::default();
            for entry in &entries {
                order.add(entry, &mut Nobody);
            }
            order.release(u64::MAX);
            let mut len = 0;
            while let Some(record) = order.next() {
                len += record.len();
            }
            let in_turn = |record: &&[u8]| !is_signal(record) || is_retransmit(record);
            let all = entries.iter().flat_map(|entry| records(entry)).filter(in_turn).map(<[u8]>::len);
            prop_assert_eq!(len, all.sum::<usize>());
        }
    }
}
