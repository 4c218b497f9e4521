//! Half-open connections beside the transitions: their records, the polls, and their own account.

use std::io;

use tcptrace_common::HalfOpenCounters;

use super::{Batch, Settings, outgoing::Outgoing};
use crate::{
    bpf::Tracer,
    clock::monotonic_ns,
    event,
    half_open::{Change, HalfOpens, Lost, Namespaces, Poll, Poller, Summary, decode},
    record::{HalfOpenLoss, Owner, Record},
    tracker::Tracker,
    wanted::Wanted,
};

/// From one poll to the next.
const POLL_EVERY_NS: u64 = 1_000_000_000;

/// What follows them.
pub(super) struct Side {
    half_opens: HalfOpens,
    namespaces: Namespaces,
    poller: Poller,
    /// Poll also when none is open: not every SYN is seen.
    poll_always: bool,
    /// Only count.
    count_only: bool,
    polled_ns: Option<u64>,
    /// Waits until the events up to its end were taken.
    answer: Option<Poll>,
    unpolled: Option<String>,
    account: Account,
    /// Losses already told.
    told: Lost,
}

/// What became of every record that user space read.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    read: u64,
    undecodable: u64,
    /// Handed to the writer.
    sent: u64,
    /// After `--count` was reached.
    surplus: u64,
}

impl Side {
    /// Call it after the kernel side was loaded, since it starts a thread.
    pub(super) fn start(settings: &Settings, tracer: &Tracer) -> io::Result<Self> {
        let bpf = &settings.bpf;
        let wanted = settings.netns.clone();
        let namespaces = Namespaces::new(wanted.clone(), monotonic_ns());
        let limit = usize::try_from(bpf.max_connections).unwrap_or(usize::MAX);
        let sees_all = tracer.half_open().and_then(|hooks| hooks.syns.as_ref().ok());
        Ok(Self {
            half_opens: HalfOpens::new(limit, Wanted::of(bpf)),
            namespaces,
            poller: Poller::start(wanted)?,
            poll_always: sees_all.is_none_or(|syns| !syns.whole_host),
            count_only: bpf.count_only,
            polled_ns: None,
            answer: None,
            unpolled: None,
            account: Account::default(),
            told: Lost::default(),
        })
    }

    /// Takes a record of a half-open connection.
    pub(super) fn take(&mut self, bytes: &[u8], tracker: &Tracker, out: &mut Outgoing) {
        self.account.read += 1;
        let Ok(mut event) = decode(bytes) else {
            self.account.undecodable += 1;
            return;
        };
        let connection = &mut event.connection;
        if let (None, Some(cookie)) = (connection.netns, event.netns_cookie) {
            connection.netns = self.namespaces.inode(cookie, event.ktime_ns);
        }
        let owner = tracker.listener_owner(connection.netns, connection.laddr, connection.lport);
        let account = &mut self.account;
        self.half_opens.event(&event, owner, |change| push(change, account, out));
    }

    /// Takes a transition, which may end one.
    pub(super) fn transition(&mut self, event: &event::Event, tracker: &Tracker, out: &mut Outgoing) {
        let owner = || tracker.listener_owner(event.netns, event.laddr, event.lport);
        let account = &mut self.account;
        self.half_opens.transition(event, owner, |change| push(change, account, out));
    }

    /// Every event up to this time was taken: a poll that ended before can be compared with them.
    pub(super) fn caught_up(&mut self, until_ns: u64, tracker: &Tracker, out: &mut Outgoing) {
        if let Some(poll) = self.answer.take_if(|poll| poll.end_ns <= until_ns) {
            let account = &mut self.account;
            self.half_opens.polled(&poll, owner(tracker), |change| push(change, account, out));
        }
    }

    /// Looks for losses and an answer of the poller, and asks it again when it is time.
    pub(super) fn check(
        &mut self,
        (ring_full, missed_runs): (u64, u64),
        tracker: &Tracker,
        out: &mut Outgoing,
    ) {
        self.tell(ring_full, missed_runs, &mut out.batch);
        if self.count_only {
            return;
        }
        match self.poller.answer() {
            Some(Ok((poll, gaps))) => {
                self.answer = Some(poll);
                self.unpolled = gaps.or_else(|| self.unpolled.take());
            }
            Some(Err(error)) => self.unpolled = Some(error),
            None => {}
        }
        let now_ns = monotonic_ns();
        if self.polled_ns.is_some_and(|polled_ns| now_ns < polled_ns + POLL_EVERY_NS) {
            return;
        }
        // The first one finds those that are older than the trace.
        let is_due = self.polled_ns.is_none() || self.poll_always || self.half_opens.open() > 0;
        if is_due && self.answer.is_none() && self.poller.ask() {
            self.half_opens.poll_begins();
            self.polled_ns = Some(now_ns);
        }
        for (netns, retries) in self.namespaces.retries() {
            self.half_opens.set_retries(*netns, *retries);
        }
        let account = &mut self.account;
        self.half_opens.tick(now_ns, owner(tracker), |change| push(change, account, out));
    }

    /// Transitions up to this time were lost.
    pub(super) fn gap(&mut self, ktime_ns: u64) {
        self.half_opens.gap(ktime_ns);
    }

    /// Whether every record was read that is known to have been put on the ring.
    pub(super) fn is_complete(&self, counters: &HalfOpenCounters) -> bool {
        self.count_only || self.account.read >= counters.submitted()
    }

    /// Ends it: the account, as if the writer had written everything.
    pub(super) fn finish(
        &mut self,
        counters: HalfOpenCounters,
        missed_runs: u64,
        batch: &mut Batch,
    ) -> Summary {
        self.tell(counters.lost_ring_full, missed_runs, batch);
        let mut summary = Summary {
            followed: (!self.count_only).then(|| self.half_opens.counts()),
            counters,
            delivered: 0,
            filtered: counters.filtered + self.half_opens.filtered() + self.account.surplus,
            lost: Lost { missed_runs, ..Lost::default() },
            namespaces: self.namespaces.grown(),
            unpolled: self.unpolled.take(),
        };
        self.settle(&mut summary, self.account.sent);
        summary
    }

    /// Settles the account when `written` records are known to have been written: whatever is missing was lost at the
    /// output.
    pub(super) fn settle(&self, summary: &mut Summary, written: u64) {
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

    /// Puts a loss into the batch if there was one since the last.
    fn tell(&mut self, ring_full: u64, missed_runs: u64, batch: &mut Batch) {
        let lost = Lost { ring_full, output: 0, undecodable: self.account.undecodable, missed_runs };
        if lost == self.told {
            return;
        }
        let since = Lost {
            ring_full: lost.ring_full - self.told.ring_full,
            output: 0,
            undecodable: lost.undecodable - self.told.undecodable,
            missed_runs: lost.missed_runs.saturating_sub(self.told.missed_runs),
        };
        let loss = HalfOpenLoss { ktime_ns: monotonic_ns(), lost: since, total: lost.total() };
        batch.push(Record::HalfOpenLoss(loss));
        self.told = lost;
    }
}

fn owner(tracker: &Tracker) -> impl Fn(&crate::half_open::Connection) -> Option<Owner> {
    |connection| tracker.listener_owner(connection.netns, connection.laddr, connection.lport)
}

/// Adds a change, unless as many lines are there as are wanted.
fn push(change: Change, account: &mut Account, out: &mut Outgoing) {
    if out.is_satisfied() {
        account.surplus += u64::from(change.recorded);
    } else {
        account.sent += u64::from(change.recorded);
        out.batch.push(Record::HalfOpen(change));
    }
}
