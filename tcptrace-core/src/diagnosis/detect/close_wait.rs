//! `close-wait-leak`: the peer has closed, and the program of this host never does.
//!
//! Nothing in the kernel ends CLOSE_WAIT (RFC 9293, 3.6): only `close()` does. A busy program has such sockets for moments,
//! and a program that still answers may take its time. A program that forgets its sockets keeps them for ever, and has more
//! of them all the time.

mod finding;

use std::collections::HashMap;

use super::{
    Detector, Options, Sample, Seen,
    culprits::{Culprits, nanoseconds},
    holding::{self, Holders},
    owes::{has_unread, is_server, owes_an_answer},
    thresholds::CloseWaitLeak,
};
use crate::model::{finding::Finding, process::Condition, state::State, who::Who};

pub(super) struct CloseWait {
    thresholds: CloseWaitLeak,
    /// The time of the first scan, and the number of sockets of each process at that time; `None` before that scan.
    first: Option<(u64, HashMap<u32, u64>)>,
    now_ns: u64,
    trends: HashMap<u32, Trend>,
    /// The sockets of each process at the last scan.
    last: HashMap<u32, (Who, Last)>,
    conditions: HashMap<u32, Condition>,
}

/// The change of a process's number of sockets from scan to scan.
#[derive(Clone, Copy, Default)]
struct Trend {
    last: u64,
    rises: u32,
    has_fallen: bool,
}

/// Scans with more sockets than the scan before, and none with fewer, from which a number keeps growing.
const KEEPS_GROWING: u32 = 3;

impl Trend {
    fn note(&mut self, count: u64) {
        self.rises += u32::from(count > self.last);
        self.has_fallen |= count < self.last;
        self.last = count;
    }

    fn keeps_growing(self) -> bool {
        self.rises >= KEEPS_GROWING && !self.has_fallen
    }
}

/// The sockets of a process; processes that inherited them count here as well.
#[derive(Default)]
struct Last {
    all: u64,
    forgotten: u64,
    /// The age of the oldest forgotten socket, and of the oldest one that is surely over, nanoseconds.
    oldest_ns: u64,
    oldest_sure_ns: u64,
    /// Forgotten sockets that are surely over: a server's socket that owes its client no answer.
    sure: u64,
    unread: u64,
    /// Forgotten sockets that other processes have open as well.
    shared: u64,
    holders: Holders,
    culprits: Culprits,
    cookies: Vec<u64>,
}

impl Last {
    fn forget(&mut self, seen: &Seen, age_ns: u64, is_sure: bool) {
        self.forgotten += 1;
        self.oldest_ns = self.oldest_ns.max(age_ns);
        if is_sure {
            self.sure += 1;
            self.oldest_sure_ns = self.oldest_sure_ns.max(age_ns);
        }
        self.unread += u64::from(has_unread(seen));
        self.shared += u64::from(seen.owners.len() > 1);
        self.holders.add(seen);
        self.culprits.add(seen, false);
        self.cookies.push(seen.socket.cookie);
    }
}

impl CloseWait {
    pub(super) fn new(options: &Options) -> Self {
        let thresholds = options.thresholds.close_wait_leak;
        Self {
            thresholds,
            first: None,
            now_ns: 0,
            trends: HashMap::new(),
            last: HashMap::new(),
            conditions: HashMap::new(),
        }
    }
}

impl Detector for CloseWait {
    fn sample(&mut self, sample: &Sample) {
        let mut now: HashMap<u32, (Who, Last)> = HashMap::new();
        // A connection that was never accepted has no inode, and no program could close it: `nobody-accepts` reports that.
        let accepted = sample.sockets.iter().filter(|seen| seen.socket.inode.is_some());
        for seen in accepted.filter(|seen| seen.socket.state == State::CLOSE_WAIT) {
            let Some(who) = holding::first(&seen.owners) else { continue };
            let (_, last) = now.entry(who.pid).or_insert_with(|| (who.clone(), Last::default()));
            last.all += 1;
            // A connection on which data still moves is no leak, however long ago the peer closed its half.
            let age_ns = seen.socket.age_at_least_ns.unwrap_or(0).min(seen.still_ns.unwrap_or(u64::MAX));
            let is_server = is_server(sample, seen);
            let owes = owes_an_answer(sample, seen);
            let limit_s = if owes { self.thresholds.answer_s } else { self.thresholds.age_s };
            // Data that the program has sent waits for the peer, not for the program.
            if age_ns >= nanoseconds(limit_s) && seen.socket.send_queue == 0 {
                last.forget(seen, age_ns, is_server && !owes);
            }
        }
        self.now_ns = sample.ktime_ns;
        let counts = || now.iter().map(|(pid, (_, last))| (*pid, last.all)).collect();
        self.first.get_or_insert_with(|| (sample.ktime_ns, counts()));
        self.trends.retain(|pid, _| now.contains_key(pid));
        for (pid, (_, last)) in &now {
            let first = Trend {
                last: self.first.as_ref().and_then(|(_, first)| first.get(pid)).copied().unwrap_or(0),
                ..Trend::default()
            };
            self.trends.entry(*pid).or_insert(first).note(last.all);
        }
        self.last = now;
        self.conditions.clone_from(&sample.processes);
    }

    fn findings(&self) -> Vec<Finding> {
        let leaks = self.last.values().filter(|(_, last)| last.forgotten >= self.thresholds.count);
        leaks.map(|(who, last)| self.finding(who, last)).collect()
    }
}
