//! The last answers to each question, bounded.

use std::hash::Hash;

use hashlink::LinkedHashMap;

use crate::model::input::Answer;

/// The last answers of the resolver, by key. A recorded trace must remember what a replay of its capture remembers. So an
/// answer that may soon be forgotten, or that only an earlier file has, counts as new.
pub(super) struct RecentAnswers<K, V> {
    answers: LinkedHashMap<K, Answers<V>>,
    limit: usize,
    /// How many answers were added.
    added: u64,
    /// A key whose [`Answers::added`] is smaller than this needs its answer added again.
    stale_before: u64,
}

struct Answers<V> {
    /// The answers, each with the time from which it holds; the oldest first.
    values: Vec<(u64, Option<V>)>,
    /// The value of [`RecentAnswers::added`] when the last one was added.
    added: u64,
}

impl<K: Eq + Hash + Copy, V: PartialEq + Clone> RecentAnswers<K, V> {
    /// Answers to remember of one key. Records are taken by their time, so a few suffice.
    const EACH: usize = 8;

    pub(super) fn new(limit: usize) -> Self {
        Self { answers: LinkedHashMap::new(), limit, added: 0, stale_before: 0 }
    }

    /// Adds an answer. It holds from its time on, up to the time of the next one.
    pub(super) fn add(&mut self, answer: Answer<K, V>) {
        let Answer { from_ns, key, value } = answer;
        let mut answers =
            self.answers.remove(&key).unwrap_or_else(|| Answers { values: Vec::new(), added: 0 });
        self.added += 1;
        answers.added = self.added;
        if answers.at(from_ns) != value.as_ref() {
            if answers.values.len() == Self::EACH {
                answers.values.remove(0);
            }
            let place = answers.values.partition_point(|(other_ns, _)| *other_ns <= from_ns);
            answers.values.insert(place, (from_ns, value));
        }
        // The key goes behind all others, so that the first key is the one that was added least recently.
        self.answers.insert(key, answers);
        if self.answers.len() > self.limit {
            self.answers.pop_front();
        }
    }

    /// The answer for an event of this time.
    pub(super) fn get(&self, key: K, ktime_ns: u64) -> Option<V> {
        self.answers.get(&key)?.at(ktime_ns).cloned()
    }

    /// Whether an answer differs from what is known, or what is known may soon be forgotten.
    pub(super) fn is_new(&self, answer: &Answer<K, V>) -> bool {
        let answers = self.answers.get(&answer.key);
        let known = answers.and_then(|answers| answers.at(answer.from_ns));
        let fresh_from = self.stale_before.max(self.added.saturating_sub(self.limit as u64 / 2));
        known != answer.value.as_ref()
            || (known.is_some() && answers.is_some_and(|answers| answers.added < fresh_from))
    }

    /// Makes every known answer count as new, except those of the keys for which `some` is true. Returns the last answers of
    /// these keys, to be recorded.
    pub(super) fn record_again(&mut self, mut some: impl FnMut(&K) -> bool) -> Vec<Answer<K, V>> {
        self.stale_before = self.added + 1;
        let mut last = Vec::new();
        for (key, answers) in &mut self.answers {
            if let Some((from_ns, value)) = answers.values.last()
                && some(key)
            {
                answers.added = self.stale_before;
                last.push(Answer { from_ns: *from_ns, key: *key, value: value.clone() });
            }
        }
        last
    }
}

impl<V> Answers<V> {
    fn at(&self, ktime_ns: u64) -> Option<&V> {
        self.values.iter().rev().find(|(from_ns, _)| *from_ns <= ktime_ns)?.1.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer<V>(from_ns: u64, key: u32, value: Option<V>) -> Answer<u32, V> {
        Answer { from_ns, key, value }
    }

    /// Adds an answer if it is new. Returns whether it was.
    fn feed(known: &mut RecentAnswers<u32, char>, answer: Answer<u32, char>) -> bool {
        let is_new = known.is_new(&answer);
        if is_new {
            known.add(answer);
        }
        is_new
    }

    #[test]
    fn an_answer_holds_from_its_time_on() {
        let mut known = RecentAnswers::new(16);
        assert!(!feed(&mut known, answer(1, 7, None)), "nobody is what is not known anyway");
        assert!(feed(&mut known, answer(2, 7, Some('a'))));
        assert!(!feed(&mut known, answer(3, 7, Some('a'))));
        assert!(feed(&mut known, answer(4, 7, None)));
        assert!(feed(&mut known, answer(6, 7, Some('b'))));
        let at = |ns| known.get(7, ns);
        assert_eq!(
            [1, 2, 3, 4, 5, 6, 9].map(at),
            [None, Some('a'), Some('a'), None, None, Some('b'), Some('b')]
        );
    }

    /// Entries leave the ring one CPU after the other, so a record may be older than the one that asked first.
    #[test]
    fn an_answer_may_be_for_an_older_event_than_the_last_one() {
        let mut known = RecentAnswers::new(16);
        assert!(feed(&mut known, answer(5, 7, Some('b'))));
        assert!(feed(&mut known, answer(3, 7, Some('a'))));
        assert_eq!([2, 3, 4, 5].map(|ns| known.get(7, ns)), [None, Some('a'), Some('a'), Some('b')]);
        assert!(!feed(&mut known, answer(4, 7, Some('a'))));
    }

    #[test]
    fn the_key_that_was_added_least_recently_is_forgotten() {
        let mut known = RecentAnswers::new(2);
        for (from_ns, key) in [(1, 7), (2, 8), (3, 7), (4, 9)] {
            known.add(answer(from_ns, key, Some(from_ns)));
        }
        assert_eq!([7, 8, 9].map(|key| known.get(key, 9)), [Some(3), None, Some(4)]);
    }

    /// Otherwise other answers would replace the answer about a process that never changes.
    #[test]
    fn what_is_asked_for_again_and_again_stays_known() {
        let mut known = RecentAnswers::new(8);
        let mut live = 0;
        for ns in 0..100 {
            assert!(feed(&mut known, answer(ns, 1_000 + u32::try_from(ns).unwrap(), Some('x'))));
            live += u32::from(feed(&mut known, answer(ns, 7, Some('a'))));
            assert_eq!(known.get(7, ns), Some('a'), "at {ns}");
        }
        assert!(live < 34, "{live}: not each time");
    }

    #[test]
    fn another_file_has_some_answers_at_once_and_the_others_once_they_come_again() {
        let mut known = RecentAnswers::new(16);
        for key in [7, 8] {
            assert!(feed(&mut known, answer(1, key, Some('a'))));
        }
        assert_eq!(known.record_again(|key| *key == 8), [answer(1, 8, Some('a'))]);
        assert!(!feed(&mut known, answer(2, 8, Some('a'))));
        assert!(feed(&mut known, answer(2, 7, Some('a'))));
        assert!(!feed(&mut known, answer(3, 7, Some('a'))));
    }
}
