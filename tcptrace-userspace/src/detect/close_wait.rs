//! `close-wait-leak`: the peer has closed, and the program of this host never does.
//!
//! Nothing in the kernel ends CLOSE_WAIT (RFC 9293, 3.6): only `close()` does. A busy program has some for moments; one
//! that forgets them has them for ever, and more of them all the time.

use std::collections::HashMap;

use super::{
    Confidence, Detector, Finding, Harm, Options, Sample, Severity, Who,
    culprits::{Culprits, many, nanoseconds, seconds, the_oldest},
    thresholds::CloseWaitLeak,
};
use crate::state::State;

const ID: &str = "close-wait-leak";

pub(super) struct CloseWait {
    thresholds: CloseWaitLeak,
    /// By process: how many it had at the first look; `None` before that.
    first: Option<HashMap<u32, u64>>,
    /// What each has at the last look.
    last: HashMap<u32, (Who, Last)>,
}

#[derive(Default)]
struct Last {
    all: u64,
    forgotten: u64,
    oldest_ns: u64,
    unread: u64,
    culprits: Culprits,
}

impl CloseWait {
    pub(super) fn new(options: &Options) -> Self {
        let thresholds = options.thresholds.close_wait_leak;
        Self { thresholds, first: None, last: HashMap::new() }
    }

    fn finding(&self, who: &Who, last: &Last) -> Finding {
        let first = self.first.as_ref().and_then(|first| first.get(&who.pid)).copied().unwrap_or(0);
        let grows = last.all > first;
        let severity = if last.forgotten >= self.thresholds.critical_count {
            Severity::Critical
        } else {
            Severity::Warning
        };
        let confidence = if grows || last.oldest_ns >= 60_000_000_000 {
            Confidence::HIGH
        } else {
            Confidence::medium("a longer watch: the number grows, or the same sockets stay")
        };
        let summary = format!(
            "{who} has {} that the peer has closed, {}, and does not close {}",
            many(last.forgotten, "connection"),
            the_oldest(last.forgotten, last.oldest_ns),
            if last.forgotten == 1 { "it" } else { "them" },
        );
        let finding = Finding::new(ID, confidence, summary)
            .harms(
                severity,
                Harm::new(last.forgotten, "descriptors held by connections that are over", who.to_string()),
            )
            .about(format!("process {}", who.pid))
            .because("in CLOSE_WAIT", last.all)
            .because("of these forgotten", last.forgotten)
            .because("oldest, at least", seconds(last.oldest_ns))
            .because("at the first look", first)
            .because("with data that was never read", last.unread)
            .then("See them", Some(format!("ss -tanp state close-wait | grep pid={},", who.pid)))
            .then(
                "Compare with the limit of open files",
                Some(format!("ls /proc/{0}/fd | wc -l; grep 'open files' /proc/{0}/limits", who.pid)),
            )
            .then("Restart the program to free them; look in it for a path that ends without close()", None)
            .not("a busy program, which has connections in CLOSE_WAIT for moments only");
        Finding { owners: vec![who.clone()], ..last.culprits.name(finding) }
    }
}

impl Detector for CloseWait {
    fn sample(&mut self, sample: &Sample) {
        let mut now: HashMap<u32, (Who, Last)> = HashMap::new();
        // What was never accepted has no inode, and nobody could close it: a full accept queue is another finding.
        let accepted = sample.sockets.iter().filter(|seen| seen.socket.inode.is_some());
        for seen in accepted.filter(|seen| seen.socket.state == State::CLOSE_WAIT) {
            let age_ns = seen.socket.age_at_least_ns.unwrap_or(0);
            for owner in &seen.owners {
                let (_, last) = now.entry(owner.pid).or_insert_with(|| (owner.clone(), Last::default()));
                last.all += 1;
                if age_ns >= nanoseconds(self.thresholds.age_s) {
                    last.forgotten += 1;
                    last.oldest_ns = last.oldest_ns.max(age_ns);
                    last.unread += u64::from(seen.socket.recv_queue > 1);
                    last.culprits.add(seen, false);
                }
            }
        }
        self.first.get_or_insert_with(|| now.iter().map(|(pid, (_, last))| (*pid, last.all)).collect());
        self.last = now;
    }

    fn findings(&self) -> Vec<Finding> {
        let leaks = self.last.values().filter(|(_, last)| last.forgotten >= self.thresholds.count);
        leaks.map(|(who, last)| self.finding(who, last)).collect()
    }
}
