//! The half-open pipeline: records and polls of half-open connections, and an account of their own.

use std::sync::Arc;

use crate::pipeline::{Outgoing, ResolverCache};
use crate::{
    model::{
        event,
        half_open::{Change, Connection, Lost, Poll, Summary},
        input::{Checked, Ended},
        owner::Owner,
        record::{HalfOpenLoss, Record},
        socket_filter::SocketFilter,
    },
    pipeline::{
        half_open::{HalfOpens, decode},
        tracker::Tracker,
    },
};

/// Follows half-open connections. It is pure, like the tracker.
pub(crate) struct Side {
    half_opens: HalfOpens,
    /// Whether records are only counted.
    count_only: bool,
    account: Account,
    /// Losses already reported.
    told: Lost,
}

/// The account of every record that user space read.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    read: u64,
    undecodable: u64,
    /// Records handed to the writer.
    sent: u64,
    /// Records that came after `--count` was reached.
    surplus: u64,
}

impl Side {
    /// Follows the connections that pass the filters in `wanted`; remembers at most `limit`.
    pub(crate) fn new(limit: usize, wanted: SocketFilter, count_only: bool) -> Self {
        Self {
            half_opens: HalfOpens::new(limit, wanted),
            count_only,
            account: Account::default(),
            told: Lost::default(),
        }
    }

    /// Takes a record of a half-open connection.
    pub(crate) fn take(
        &mut self,
        bytes: &[u8],
        answers: &mut ResolverCache,
        tracker: &Tracker,
        out: &mut Outgoing,
    ) {
        self.account.read += 1;
        let Ok(mut event) = decode(bytes) else {
            self.account.undecodable += 1;
            return;
        };
        let connection = &mut event.connection;
        if let (None, Some(cookie)) = (connection.flow.netns, event.netns_cookie) {
            connection.flow.netns = answers.inode(cookie, event.ktime_ns);
        }
        let owner = tracker.listener_owner(connection.flow.local_end(), event.ktime_ns);
        let account = &mut self.account;
        self.half_opens.event(&event, owner, |change| push(change, account, out));
    }

    /// Takes a transition, which may complete a half-open connection.
    pub(crate) fn transition(&mut self, event: &event::Event, tracker: &Tracker, out: &mut Outgoing) {
        let owner = || tracker.listener_owner(event.flow.local_end(), event.ktime_ns);
        let account = &mut self.account;
        self.half_opens.transition(event, owner, |change| push(change, account, out));
    }

    /// Notes that a poll begins.
    pub(crate) fn poll_begins(&mut self) {
        self.half_opens.poll_begins();
    }

    /// Takes a poll. Every event up to its end must have been taken.
    pub(crate) fn polled(&mut self, poll: &Poll, tracker: &Tracker, out: &mut Outgoing) {
        let account = &mut self.account;
        self.half_opens.polled(poll, owner(tracker), |change| push(change, account, out));
    }

    /// Counts `records` as read and as surplus, without reading them.
    pub(crate) fn forgo(&mut self, records: u64) {
        self.account.read += records;
        self.account.surplus += records;
    }

    /// The number of half-open connections now.
    pub(crate) fn open(&self) -> usize {
        self.half_opens.open()
    }

    /// Emits losses, and the ends of connections that must be over by now.
    pub(crate) fn check(&mut self, checked: &Checked, tracker: &Tracker, out: &mut Outgoing) {
        self.tell(checked.now_ns, checked.half_open, out);
        if self.count_only {
            return;
        }
        for (netns, retries) in &checked.retries {
            self.half_opens.set_retries(*netns, *retries);
        }
        let account = &mut self.account;
        self.half_opens.tick(checked.now_ns, owner(tracker), |change| push(change, account, out));
    }

    /// Notes that transitions up to this time may be missing.
    pub(crate) fn gap(&mut self, ktime_ns: u64) {
        self.half_opens.gap(ktime_ns);
    }

    /// Ends the pipeline. Returns its account, as if the writer had written everything.
    pub(crate) fn finish(&mut self, ended: &Ended, out: &mut Outgoing) -> Summary {
        let (counters, missed_runs) = (ended.counted.half_open, ended.half_open_missed);
        self.tell(ended.end_ns, (counters.lost_ring_full, missed_runs), out);
        let mut summary = Summary {
            followed: (!self.count_only).then(|| self.half_opens.counts()),
            counters,
            delivered: 0,
            filtered: (self.half_opens.filtered() + self.account.surplus).saturating_add(counters.filtered),
            lost: Lost { missed_runs, ..Lost::default() },
            namespaces: ended.namespaces.clone(),
            unpolled: ended.unpolled.clone(),
        };
        self.settle(&mut summary, self.account.sent);
        summary
    }

    /// Settles the account when the writer has written `written` records. Every record that is missing was lost at the
    /// output.
    pub(crate) fn settle(&self, summary: &mut Summary, written: u64) {
        let counters = &summary.counters;
        if self.count_only {
            summary.delivered = counters.submitted();
            return;
        }
        let account = &self.account;
        summary.delivered = written;
        summary.lost = Lost {
            ring_full: counters.lost_ring_full,
            output: counters.submitted().saturating_sub(account.read) + account.sent.saturating_sub(written),
            undecodable: account.undecodable,
            missed_runs: summary.lost.missed_runs,
        };
    }

    /// Emits a loss, if there was one since the last report.
    fn tell(&mut self, now_ns: u64, (ring_full, missed_runs): (u64, u64), out: &mut Outgoing) {
        let lost = Lost { ring_full, output: 0, undecodable: self.account.undecodable, missed_runs };
        if lost == self.told {
            return;
        }
        let loss = HalfOpenLoss { ktime_ns: now_ns, lost: lost.since(&self.told), total: lost.total() };
        out.put(&Record::HalfOpenLoss(loss));
        self.told = lost;
    }
}

/// The owner of a connection's listener after all inputs so far.
fn owner(tracker: &Tracker) -> impl Fn(&Connection) -> Option<Arc<Owner>> {
    |connection| tracker.listener_owner(connection.flow.local_end(), u64::MAX)
}

/// Adds a change, unless `--count` was reached.
fn push(change: Change, account: &mut Account, out: &mut Outgoing) {
    if out.is_satisfied() {
        account.surplus += u64::from(change.recorded);
    } else {
        account.sent += u64::from(change.recorded);
        out.put(&Record::HalfOpen(change));
    }
}
