//! What a trace knows of the network namespaces that half-open connections are in: as many as the host has, and no more.

use std::collections::HashMap;

use tcptrace_core::model::{
    input::Answer,
    netstat::{NamespaceCounters, Netstat},
};

use crate::scan::namespaces::{NamespaceFacts, NamespaceScan};

/// Nanoseconds that a record waits for the answer of the scanner. Then its namespace is unknown.
const WAIT_NS: u64 = 500_000_000;

/// How long not to ask again for a namespace that could not be found: only sockets may keep it.
const ASK_AGAIN_NS: u64 = 1_000_000_000;

/// Cookies that wait for an answer, or had none, at most.
const CAPACITY: usize = 16_384;

/// The namespaces as the last scan has them, and questions that it does not answer.
#[derive(Default)]
pub(super) struct Namespaces {
    /// Only one is wanted: a cookie that is not its own is another namespace's.
    of_one: bool,
    by_cookie: HashMap<u64, u32>,
    retries: HashMap<Option<u32>, u32>,
    /// Counters when a namespace was first seen.
    first: HashMap<Option<u32>, Netstat>,
    /// Since when a record with this cookie waits, and since when the scanner is asked for it.
    waiting: HashMap<u64, Waiting>,
    /// Cookies that no scan has found, and when the last one ended.
    absent: HashMap<u64, u64>,
}

/// A record waits. Times are nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy)]
struct Waiting {
    ktime_ns: u64,
    asked_ns: u64,
}

impl Namespaces {
    /// `of_one`: only one namespace is wanted. `scan`: those that there are before the trace.
    pub(super) fn new(of_one: bool, scan: &NamespaceScan) -> Self {
        let mut this = Self { of_one, ..Self::default() };
        this.learn(scan);
        this
    }

    /// Takes a scan in: namespaces that are gone are forgotten. What it says of those that were waited for comes back; it knows
    /// nothing of what was born after it began.
    pub(super) fn learn(&mut self, scan: &NamespaceScan) -> Vec<Answer<u64, u32>> {
        let NamespaceScan { begin_ns, facts } = scan;
        self.by_cookie = facts.iter().filter_map(|one| one.cookie.zip(one.inode)).collect();
        self.retries = facts.iter().filter_map(|one| Some((one.inode, one.retries?))).collect();
        let mut first = std::mem::take(&mut self.first);
        let counters = |one: &NamespaceFacts| (one.inode, first.remove(&one.inode).unwrap_or(one.netstat));
        self.first = facts.iter().map(counters).collect();
        self.absent.retain(|cookie, _| !self.by_cookie.contains_key(cookie));
        let is_answered = |cookie: &u64, waiting: &mut Waiting| {
            waiting.ktime_ns < *begin_ns || self.by_cookie.contains_key(cookie)
        };
        let answered: Vec<_> = self.waiting.extract_if(is_answered).collect();
        answered
            .into_iter()
            .map(|(cookie, waiting)| self.answer(cookie, waiting.ktime_ns, *begin_ns))
            .collect()
    }

    /// Asks for the namespace with this cookie, for a record: the answer, where it is known at once.
    pub(super) fn ask(&mut self, cookie: u64, ktime_ns: u64, now_ns: u64) -> Option<Answer<u64, u32>> {
        let is_absent = self.absent.get(&cookie).is_some_and(|since_ns| now_ns < since_ns + ASK_AGAIN_NS);
        let is_another = self.of_one && !self.by_cookie.is_empty();
        let is_full = self.waiting.len() >= CAPACITY && !self.waiting.contains_key(&cookie);
        if self.by_cookie.contains_key(&cookie) || is_another || is_absent || is_full {
            return Some(self.answer(cookie, ktime_ns, now_ns));
        }
        let waiting = Waiting { ktime_ns, asked_ns: now_ns };
        let waits = self.waiting.entry(cookie).or_insert(waiting);
        waits.ktime_ns = waits.ktime_ns.min(ktime_ns);
        None
    }

    /// Whether the scanner is to be asked.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The time of the first record that waits, nanoseconds of `CLOCK_MONOTONIC`. Those that have waited for too long are
    /// answered: nobody knows.
    pub(super) fn first_waiting(
        &mut self,
        now_ns: u64,
        mut answer: impl FnMut(Answer<u64, u32>),
    ) -> Option<u64> {
        let late = self.waiting.extract_if(|_, waiting| now_ns >= waiting.asked_ns + WAIT_NS);
        for (cookie, Waiting { ktime_ns, .. }) in late.collect::<Vec<_>>() {
            answer(Answer { from_ns: ktime_ns, key: cookie, value: None });
        }
        self.waiting.values().map(|waiting| waiting.ktime_ns).min()
    }

    /// How often the kernel sends a SYN-ACK again, by namespace, where it is known.
    pub(super) fn retries(&self) -> Vec<(Option<u32>, u32)> {
        let mut all: Vec<_> = self.retries.iter().map(|(netns, retries)| (*netns, *retries)).collect();
        all.sort_unstable();
        all
    }

    /// How the counters grew of those that are in a scan and were there before.
    pub(super) fn grown(&self, scan: &NamespaceScan) -> Vec<NamespaceCounters> {
        let grown = scan.facts.iter().filter_map(|one| {
            let grown = one.netstat.since(self.first.get(&one.inode)?);
            Some(NamespaceCounters { netns: one.inode, grown })
        });
        let mut all: Vec<_> = grown.collect();
        all.sort_by_key(|one| one.netns);
        all
    }

    fn answer(&mut self, cookie: u64, from_ns: u64, now_ns: u64) -> Answer<u64, u32> {
        let value = self.by_cookie.get(&cookie).copied();
        if value.is_none() {
            if self.absent.len() >= CAPACITY {
                self.absent.clear();
            }
            self.absent.entry(cookie).or_insert(now_ns);
        }
        Answer { from_ns, key: cookie, value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A scan that begins then, and finds these.
    fn scan(begin_ns: u64, cookies: impl IntoIterator<Item = u64>) -> NamespaceScan {
        let of = |cookie: u64| NamespaceFacts {
            inode: u32::try_from(cookie + 1_000).ok(),
            cookie: Some(cookie),
            retries: Some(5),
            ..NamespaceFacts::default()
        };
        NamespaceScan { begin_ns, facts: cookies.into_iter().map(of).collect() }
    }

    #[test]
    fn a_record_waits_for_the_answer() {
        let mut namespaces = Namespaces::default();
        assert_eq!(namespaces.learn(&scan(0, [1])), []);
        let known = namespaces.ask(1, 50, 60);
        assert_eq!(known, Some(Answer { from_ns: 50, key: 1, value: Some(1_001) }));
        assert_eq!(namespaces.ask(2, 80, 90), None);
        assert_eq!(namespaces.ask(2, 70, 91), None);
        assert_eq!(namespaces.first_waiting(92, |_| unreachable!()), Some(70));
        assert_eq!(namespaces.learn(&scan(95, [1, 2])), [Answer { from_ns: 70, key: 2, value: Some(1_002) }]);
        assert_eq!(namespaces.first_waiting(96, |_| unreachable!()), None);
    }

    #[test]
    fn a_scan_does_not_know_what_was_born_after_it_began() {
        let mut namespaces = Namespaces::default();
        assert_eq!(namespaces.ask(2, 80, 90), None);
        assert_eq!(namespaces.learn(&scan(70, [1])), []);
        assert_eq!(namespaces.first_waiting(91, |_| unreachable!()), Some(80));
        assert_eq!(namespaces.learn(&scan(85, [1])), [Answer { from_ns: 80, key: 2, value: None }]);
    }

    #[test]
    fn it_does_not_wait_for_long() {
        let mut namespaces = Namespaces::default();
        assert_eq!(namespaces.ask(2, 80, 90), None);
        let mut answers = Vec::new();
        assert_eq!(namespaces.first_waiting(90 + WAIT_NS, |answer| answers.push(answer)), None);
        assert_eq!(answers, [Answer { from_ns: 80, key: 2, value: None }]);
    }

    #[test]
    fn what_no_scan_has_found_is_not_asked_for_at_once_again() {
        let mut namespaces = Namespaces::default();
        assert_eq!(namespaces.ask(2, 80, 90), None);
        namespaces.learn(&scan(100, [1]));
        let unknown = namespaces.ask(2, 110, 120);
        assert_eq!(unknown, Some(Answer { from_ns: 110, key: 2, value: None }));
        assert_eq!(namespaces.ask(2, 130, 100 + ASK_AGAIN_NS), None);
    }

    /// Hosts that start containers all day have had any number of them.
    #[test]
    fn ten_thousand_that_come_and_go_leave_nothing() {
        let mut namespaces = Namespaces::default();
        for cookie in 0..10_000 {
            namespaces.ask(cookie, cookie, cookie);
            namespaces.learn(&scan(cookie, cookie..cookie + 10));
            namespaces.ask(cookie + 1_000_000, cookie, cookie);
        }
        assert_eq!([namespaces.by_cookie.len(), namespaces.retries.len(), namespaces.first.len()], [10; 3]);
        for cookie in 0..50_000 {
            namespaces.ask(cookie + 2_000_000, 1, 1);
        }
        namespaces.learn(&scan(20_000, []));
        assert!(namespaces.waiting.is_empty() && namespaces.absent.len() <= CAPACITY);
    }
}
