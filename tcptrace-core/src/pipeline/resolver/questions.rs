//! Questions to the resolver. Each is asked once in a while, and their number is bounded.

use hashlink::LinkedHashMap;

use crate::model::input::Key;

/// The most questions of one kind at a time, and the most keys to remember as asked for. Questions beyond that get no
/// answer.
const CAPACITY: usize = 16_384;

/// The most by which a record may be older than a record that came before it, nanoseconds.
const LATEST_NS: u64 = 1_000_000_000;

/// A question of the pipeline to the resolver of a live trace. The answer comes back as an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// A process: [`Input::Process`](crate::model::input::Input::Process).
    Process {
        /// Its id (thread group).
        pid: u32,
        /// Its name at that time, NUL-padded; `None` where an event has the name of another thread only.
        comm: Option<[u8; 16]>,
        /// Time of the oldest record that waits for the answer, nanoseconds of `CLOCK_MONOTONIC`.
        ktime_ns: u64,
    },
    /// The name of a network device: [`Input::Device`](crate::model::input::Input::Device).
    Device {
        /// Inode number of its namespace.
        netns: u32,
        /// Its index there.
        ifindex: u32,
        /// Time of the oldest record that waits for the answer, nanoseconds of `CLOCK_MONOTONIC`.
        ktime_ns: u64,
    },
    /// Whether a process has ended: [`Input::Exited`](crate::model::input::Input::Exited), if it has. Only records that are
    /// newer than the question need the answer.
    Exit(Key),
}

/// The questions of one kind, by key. A question that was asked covers the events of a span of time.
pub(super) struct Asked<K, D> {
    holds_ns: u64,
    spans: LinkedHashMap<K, Span<D>>,
    /// Key and span of the last event: the next event mostly has the same.
    last: Option<(K, Span<D>)>,
    /// Questions that were not sent yet, with the time of the oldest event.
    unsent: LinkedHashMap<(K, D), u64>,
    /// Time of the newest event that a question was asked for.
    newest_ns: u64,
}

/// A span of time whose events need no further question.
#[derive(Clone, Copy)]
struct Span<D> {
    from_ns: u64,
    until_ns: u64,
    detail: D,
}

impl<D: PartialEq> Span<D> {
    fn has(&self, detail: &D, ktime_ns: u64) -> bool {
        (self.from_ns..self.until_ns).contains(&ktime_ns) && self.detail == *detail
    }
}

impl<K: Copy + Eq + std::hash::Hash, D: Copy + Eq + std::hash::Hash> Asked<K, D> {
    /// `holds_ns`: for how long an answer holds, nanoseconds.
    pub(super) fn new(holds_ns: u64) -> Self {
        Self { holds_ns, spans: LinkedHashMap::new(), last: None, unsent: LinkedHashMap::new(), newest_ns: 0 }
    }

    /// Asks for a key on behalf of an event, unless its answer has come or is on its way. `detail`: where it differs from
    /// the one before, the answer may differ, too.
    pub(super) fn ask(&mut self, key: K, detail: D, ktime_ns: u64) {
        if self.last.as_ref().is_some_and(|(last, span)| *last == key && span.has(&detail, ktime_ns)) {
            return;
        }
        let mut asked = Span { from_ns: ktime_ns, until_ns: ktime_ns.saturating_add(self.holds_ns), detail };
        if let Some(span) = self.spans.get_mut(&key) {
            if span.has(&detail, ktime_ns) {
                self.last = Some((key, *span));
                return;
            }
            if span.detail == detail && ktime_ns < span.from_ns {
                asked.until_ns = span.until_ns;
            }
            *span = asked;
        } else {
            if self.spans.len() >= CAPACITY {
                self.spans.pop_front();
            }
            self.spans.insert(key, asked);
        }
        self.last = Some((key, asked));
        self.newest_ns = self.newest_ns.max(ktime_ns);
        if self.unsent.len() < CAPACITY || self.unsent.contains_key(&(key, detail)) {
            let oldest_ns = self.unsent.entry((key, detail)).or_insert(ktime_ns);
            *oldest_ns = ktime_ns.min(*oldest_ns);
        }
    }

    /// Whether a record that is still to come may need no question of its own, since its key was asked for not long before
    /// the newest event.
    pub(super) fn is_current(&self, key: &K) -> bool {
        self.spans.get(key).is_some_and(|span| span.until_ns.saturating_add(LATEST_NS) >= self.newest_ns)
    }

    /// Takes out the questions since the last call: key, detail, and time of the oldest event.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (K, D, u64)> + use<K, D> {
        std::mem::take(&mut self.unsent).into_iter().map(|((key, detail), ktime_ns)| (key, detail, ktime_ns))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unsent.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_asked_for_once_for_a_while() {
        let mut asked = Asked::new(50);
        for ns in [100, 110, 149] {
            asked.ask(7, 'a', ns);
        }
        assert_eq!(asked.take().collect::<Vec<_>>(), [(7, 'a', 100)]);
        asked.ask(7, 'a', 120);
        assert!(asked.is_empty(), "the answer is on its way");
        asked.ask(7, 'a', 150);
        assert_eq!(asked.take().collect::<Vec<_>>(), [(7, 'a', 150)]);
    }

    #[test]
    fn an_older_event_asks_for_its_own_time() {
        let mut asked = Asked::new(50);
        asked.ask(7, 'a', 100);
        asked.ask(7, 'a', 90);
        assert_eq!(asked.take().collect::<Vec<_>>(), [(7, 'a', 90)], "one question does for both");
        asked.ask(7, 'a', 80);
        asked.ask(7, 'a', 95);
        assert_eq!(asked.take().collect::<Vec<_>>(), [(7, 'a', 80)]);
    }

    #[test]
    fn another_name_is_another_question() {
        let mut asked = Asked::new(50);
        asked.ask(7, "sh", 100);
        asked.ask(7, "curl", 101);
        asked.ask(7, "curl", 102);
        assert_eq!(asked.take().collect::<Vec<_>>(), [(7, "sh", 100), (7, "curl", 101)]);
        assert!(asked.is_current(&7) && !asked.is_current(&8));
    }

    #[test]
    fn questions_are_bounded() {
        let mut asked = Asked::new(50);
        for key in 0..100_000_u32 {
            asked.ask(key, (), 100);
        }
        assert!(asked.spans.len() <= CAPACITY);
        assert_eq!(asked.take().count(), CAPACITY);
    }
}
