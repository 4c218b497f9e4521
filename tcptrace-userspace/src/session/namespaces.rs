//! The network namespaces of half-open connections, as a trace knows them: as many as the host has, and no more.

use std::collections::{HashMap, HashSet};

use tcptrace_core::model::{
    input::Answer,
    netstat::{NamespaceCounters, Netstat},
};

use super::resolver::WAIT_NS;
use crate::scan::{
    namespaces::{self, NamespaceScan},
    snapshot::Netns,
};

/// Interval between questions for a namespace that no scan has found: perhaps only sockets keep it alive.
const ASK_AGAIN_NS: u64 = 1_000_000_000;

/// Capacity for cookies that wait for an answer, or had none.
const CAPACITY: usize = 16_384;

/// The namespaces as the last scan has them, and questions that it does not answer.
#[derive(Default)]
pub(super) struct Namespaces {
    /// The only namespace of the trace, if it is restricted to one. Any other cookie is that of another namespace.
    netns: Option<Netns>,
    by_cookie: HashMap<u64, u32>,
    retries: HashMap<Option<u32>, u32>,
    /// Counters when a namespace was first seen.
    first: HashMap<Option<u32>, Netstat>,
    /// Since when a record with this cookie waits, and since when the scanner is asked for it.
    waiting: HashMap<u64, Waiting>,
    /// Cookies that no scan has found, and when the last of these scans began.
    absent: HashMap<u64, u64>,
}

/// A record that waits. Times are nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy)]
struct Waiting {
    ktime_ns: u64,
    asked_ns: u64,
}

impl Namespaces {
    /// Scans the namespaces before the trace, or the only one of the trace.
    pub(super) fn scan(netns: Option<Netns>) -> Self {
        let mut this = Self { netns, ..Self::default() };
        this.learn(&namespaces::scan(this.netns.as_ref(), |_| false));
        this
    }

    /// How the counters have grown by now.
    pub(super) fn grown_by_now(&self) -> Vec<NamespaceCounters> {
        self.grown(&namespaces::scan(self.netns.as_ref(), |_| false))
    }

    /// Takes a scan. A namespace that a complete scan does not have is gone, and forgotten. Returns the answers to
    /// pending questions that the scan knows. A scan knows nothing of namespaces that were created after it began.
    pub(super) fn learn(&mut self, scan: &NamespaceScan) -> Vec<Answer<u64, u32>> {
        let NamespaceScan { begin_ns, facts, is_complete } = scan;
        if *is_complete || self.first.len() >= CAPACITY {
            let inodes: HashSet<_> = facts.iter().map(|one| one.inode).collect();
            self.by_cookie.clear();
            self.retries.clear();
            self.first.retain(|inode, _| inodes.contains(inode));
        }
        self.by_cookie.extend(facts.iter().filter_map(|one| one.cookie.zip(one.inode)));
        self.retries.extend(facts.iter().filter_map(|one| Some((one.inode, one.retries?))));
        for one in facts {
            if let Some(netstat) = one.netstat {
                self.first.entry(one.inode).or_insert(netstat);
            }
        }
        self.absent.retain(|cookie, since_ns| {
            *begin_ns < *since_ns + ASK_AGAIN_NS && !self.by_cookie.contains_key(cookie)
        });
        let is_over = |cookie: &u64, waiting: &mut Waiting| {
            waiting.ktime_ns < *begin_ns || self.by_cookie.contains_key(cookie)
        };
        let over: Vec<u64> = self.waiting.extract_if(is_over).map(|(cookie, _)| cookie).collect();
        over.into_iter().filter_map(|cookie| self.answer(cookie, *begin_ns)).collect()
    }

    /// Asks for the namespace with this cookie, for a record. Returns the answer where it is known already.
    pub(super) fn ask(&mut self, cookie: u64, ktime_ns: u64, now_ns: u64) -> Option<Answer<u64, u32>> {
        let is_absent = self.absent.get(&cookie).is_some_and(|since_ns| now_ns < since_ns + ASK_AGAIN_NS);
        let is_another = self.netns.is_some() && !self.by_cookie.is_empty();
        let is_full = self.waiting.len() >= CAPACITY && !self.waiting.contains_key(&cookie);
        if let Some(inode) = self.by_cookie.get(&cookie) {
            return Some(is(cookie, *inode));
        }
        if !is_another && !is_absent && !is_full {
            let waiting = Waiting { ktime_ns, asked_ns: now_ns };
            let waits = self.waiting.entry(cookie).or_insert(waiting);
            waits.ktime_ns = waits.ktime_ns.min(ktime_ns);
        }
        None
    }

    /// Whether a question waits for the scanner.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The time of the first record that waits, nanoseconds of `CLOCK_MONOTONIC`. Records that have waited for too long
    /// wait no longer: their namespace is unknown.
    pub(super) fn first_waiting(&mut self, now_ns: u64) -> Option<u64> {
        let is_late = |_: &u64, waiting: &mut Waiting| now_ns >= waiting.asked_ns + WAIT_NS;
        let late: Vec<u64> = self.waiting.extract_if(is_late).map(|(cookie, _)| cookie).collect();
        for cookie in late {
            self.miss(cookie, now_ns);
        }
        self.waiting.values().map(|waiting| waiting.ktime_ns).min()
    }

    /// How often the kernel retransmits a SYN-ACK, by namespace, where that is known.
    pub(super) fn retries(&self) -> Vec<(Option<u32>, u32)> {
        let mut all: Vec<_> = self.retries.iter().map(|(netns, retries)| (*netns, *retries)).collect();
        all.sort_unstable();
        all
    }

    /// The growth of counters, for namespaces that are in the scan and were there before.
    fn grown(&self, scan: &NamespaceScan) -> Vec<NamespaceCounters> {
        let grown = scan.facts.iter().filter_map(|one| {
            let grown = one.netstat?.since(self.first.get(&one.inode)?);
            Some(NamespaceCounters { netns: one.inode, grown })
        });
        let mut all: Vec<_> = grown.collect();
        all.sort_by_key(|one| one.netns);
        all
    }

    /// The answer of a scan that began at `begin_ns`.
    fn answer(&mut self, cookie: u64, begin_ns: u64) -> Option<Answer<u64, u32>> {
        let inode = self.by_cookie.get(&cookie).copied();
        if inode.is_none() {
            self.miss(cookie, begin_ns);
        }
        inode.map(|inode| is(cookie, inode))
    }

    fn miss(&mut self, cookie: u64, now_ns: u64) {
        if self.absent.len() >= CAPACITY {
            self.absent.clear();
        }
        self.absent.insert(cookie, now_ns);
    }
}

/// An answer for records of any time. A namespace keeps its cookie and its inode as long as it lives, and no other one
/// gets the cookie.
fn is(cookie: u64, inode: u32) -> Answer<u64, u32> {
    Answer { from_ns: 0, key: cookie, value: Some(inode) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::namespaces::NamespaceFacts;

    /// A complete scan that begins at this time, and finds these cookies.
    fn scan(begin_ns: u64, cookies: impl IntoIterator<Item = u64>) -> NamespaceScan {
        let of = |cookie: u64| NamespaceFacts {
            inode: u32::try_from(cookie + 1_000).ok(),
            cookie: Some(cookie),
            retries: Some(5),
            netstat: Some(Netstat::default()),
        };
        NamespaceScan { begin_ns, facts: cookies.into_iter().map(of).collect(), is_complete: true }
    }

    #[test]
    fn a_record_waits_for_the_answer() {
        let mut namespaces = Namespaces::default();
        assert_eq!(namespaces.learn(&scan(0, [1])), []);
        assert_eq!(namespaces.ask(1, 50, 60), Some(is(1, 1_001)), "for records of any time");
        assert_eq!(namespaces.ask(2, 80, 90), None);
        assert_eq!(namespaces.ask(2, 70, 91), None);
        assert_eq!(namespaces.first_waiting(92), Some(70));
        assert_eq!(namespaces.learn(&scan(95, [1, 2])), [is(2, 1_002)]);
        assert_eq!(namespaces.first_waiting(96), None);
    }

    #[test]
    fn a_scan_does_not_know_what_was_born_after_it_began() {
        let mut namespaces = Namespaces::default();
        assert_eq!(namespaces.ask(2, 80, 90), None);
        assert_eq!(namespaces.learn(&scan(70, [1])), []);
        assert_eq!(namespaces.first_waiting(91), Some(80));
        assert_eq!(namespaces.learn(&scan(85, [1])), []);
        assert_eq!(namespaces.first_waiting(92), None, "nobody knows");
    }

    #[test]
    fn it_does_not_wait_for_long() {
        let mut namespaces = Namespaces::default();
        assert_eq!(namespaces.ask(2, 80, 90), None);
        assert_eq!(namespaces.first_waiting(89 + WAIT_NS), Some(80));
        assert_eq!(namespaces.first_waiting(90 + WAIT_NS), None);
        namespaces.ask(2, 100, 91 + WAIT_NS);
        assert!(!namespaces.is_waiting(), "not at once again");
    }

    /// Perhaps only sockets keep it alive. The trace then asks for it once a second, not for each record.
    #[test]
    fn what_no_scan_has_found_is_not_asked_for_at_once_again() {
        let mut namespaces = Namespaces::default();
        let mut now_ns = 100;
        for _ in 0..3 {
            namespaces.ask(2, now_ns, now_ns);
            assert!(namespaces.is_waiting());
            namespaces.learn(&scan(now_ns + 10, [1]));
            for later_ns in [now_ns + 11, now_ns + ASK_AGAIN_NS] {
                namespaces.ask(2, later_ns, later_ns);
                assert!(!namespaces.is_waiting(), "{later_ns}");
            }
            now_ns += 10 + ASK_AGAIN_NS;
        }
    }

    /// A namespace that cannot be entered once is not gone.
    #[test]
    fn an_incomplete_scan_forgets_nothing() {
        let mut namespaces = Namespaces::default();
        namespaces.learn(&scan(0, [1, 2]));
        namespaces.learn(&NamespaceScan { is_complete: false, ..scan(5, []) });
        assert_eq!(namespaces.ask(1, 50, 60), Some(is(1, 1_001)));
        assert_eq!((namespaces.retries().len(), namespaces.grown(&scan(9, [1, 2])).len()), (2, 2));
    }

    /// Hosts that start containers all day have had any number of them.
    #[test]
    fn ten_thousand_that_come_and_go_leave_nothing() {
        let mut namespaces = Namespaces::default();
        for cookie in 0..10_000 {
            let now_ns = cookie * ASK_AGAIN_NS;
            namespaces.ask(cookie, now_ns, now_ns);
            namespaces.learn(&scan(now_ns, cookie..cookie + 10));
            namespaces.ask(cookie + 1_000_000, now_ns, now_ns);
        }
        assert_eq!([namespaces.by_cookie.len(), namespaces.retries.len(), namespaces.first.len()], [10; 3]);
        for cookie in 0..50_000 {
            namespaces.ask(cookie + 2_000_000, 1, 1);
        }
        assert!(namespaces.waiting.len() <= CAPACITY);
        namespaces.learn(&scan(10_000 * ASK_AGAIN_NS, []));
        assert!(namespaces.waiting.is_empty() && namespaces.absent.len() <= CAPACITY);
        let mut namespaces = Namespaces::default();
        for begin_ns in 0..20_000 {
            let found = scan(begin_ns, begin_ns..=begin_ns);
            namespaces.learn(&NamespaceScan { is_complete: false, ..found });
        }
        assert!(namespaces.first.len() <= CAPACITY + 1, "nor where some cannot be entered");
    }
}
