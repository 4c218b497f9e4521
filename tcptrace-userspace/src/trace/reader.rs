//! The reading side: off the ring, through the tracker, into batches for the writer.

use std::{io, num::NonZeroU64, os::fd::OwnedFd, sync::mpsc::Receiver, time::Duration};

use tokio::io::unix::AsyncFd;

use super::{
    Error,
    account::Account,
    half_open::Side,
    identities::Identities,
    lister::Progress,
    listing::Scope,
    lists::Lists,
    order::Order,
    outgoing::Outgoing,
    stage::Stage,
    writer::{Ending, Offer, Patience, Writer},
};
use crate::{
    bpf::{self, Tracer},
    clock::monotonic_ns,
    record::{Loss, Lost, Record, Summary},
    sink::View,
    tracker::Tracker,
};

/// Batches at a time. In a storm the ring never gets empty, and signals and timers must have their turn.
const BATCHES: usize = 64;

/// How to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// With the next timer.
    Continue,
    /// At once: there is more in the ring.
    More,
    Stop,
}

/// A record reaches its bundle, and the reset that belongs to a transition follows it, at most this long after it took its
/// time, interruptions included. Half of the time between two looks at the ring, so that nobody sees it.
const SETTLING_NS: u64 = 10_000_000;

/// When a bundle could not be flushed, what is older than this does not wait for it.
const PATIENCE_NS: u64 = 100_000_000;

pub(super) struct Reader {
    tracer: Tracer,
    order: Order,
    stage: Stage,
    writer: Writer,
    lists: Option<Lists>,
    /// From elsewhere, to be written as well.
    others: Receiver<Record>,
    /// Everything up to then has left the ring, nanoseconds of `CLOCK_MONOTONIC`.
    released_ns: u64,
    /// Losses already told.
    told: Lost,
}

impl Reader {
    pub(super) fn new(
        tracer: Tracer,
        tracker: Tracker,
        writer: Writer,
        out: Outgoing,
        (lists, identities, half_open, others): (
            Option<Lists>,
            Option<Identities>,
            Option<Side>,
            Receiver<Record>,
        ),
    ) -> Self {
        let mut stage = Stage { tracker, identities, half_open, out };
        if lists.is_some() {
            stage.tracker.expect_list();
        }
        Self {
            tracer,
            order: Order::default(),
            stage,
            writer,
            lists,
            others,
            released_ns: 0,
            told: Lost::default(),
        }
    }

    /// Readable when the kernel side says that the ring fills up.
    pub(super) fn wakeups(&self) -> io::Result<AsyncFd<OwnedFd>> {
        self.tracer.wakeups()
    }

    /// Empties the ring as far as the writer keeps up. What it cannot take stays in the ring: one place to
    /// wait, and one place to lose, where the kernel side counts exactly.
    pub(super) fn drain(&mut self) -> Step {
        self.tracer.flush_log();
        if self.order.is_drained() {
            self.stage.tracker.forget_signals(self.released_ns);
            let now_ns = monotonic_ns();
            let complete = self.gather();
            if self.waits_for_list() {
                return Step::Continue;
            }
            self.released_ns = now_ns.saturating_sub(if complete { SETTLING_NS } else { PATIENCE_NS });
            self.order.release(self.released_ns);
        }
        for _ in 0..BATCHES {
            self.fill();
            if self.stage.out.batch.is_empty() {
                return self.step();
            }
            let full = self.stage.out.is_full();
            match self.offer() {
                Offer::Taken if full && !self.stage.out.is_satisfied() => {}
                Offer::Taken | Offer::Full => return self.step(),
                Offer::Gone => return Step::Stop,
            }
        }
        Step::More
    }

    /// Whether what is older than the trace is still being listed; when that is done, takes it into account.
    fn waits_for_list(&mut self) -> bool {
        let Some(lists) = self.lists.as_mut().filter(|lists| lists.is_starting()) else { return false };
        match lists.first() {
            Progress::Waiting => return true,
            Progress::Done(listing) => self.stage.list(listing),
            Progress::Failed(_) | Progress::Nothing => {}
        }
        false
    }

    /// Compares what is remembered of small sockets with the kernel's lists, and orders the next one.
    fn confirm(&mut self) {
        let Some(lists) = self.lists.as_mut().filter(|lists| !lists.is_starting()) else { return };
        // What has been released has to be tracked as well.
        if self.order.is_drained()
            && let Some((listing, is_first)) = lists.later(self.released_ns)
        {
            self.stage.confirm(listing, is_first);
        }
        if lists.order(self.stage.tracker.wants_list()) == Some(Scope::All) {
            self.stage.tracker.expect_list();
        }
    }

    /// Takes over everything that had been recorded when it was called; `false` if some of that still waits on
    /// its CPU.
    fn gather(&mut self) -> bool {
        let complete = self.tracer.flush();
        // What the ring holds now is no more than this; newer records can wait.
        let mut left = u64::from(self.tracer.ring_bytes());
        let Self { tracer, order, stage, .. } = self;
        tracer.drain(|entry| {
            order.add(entry);
            stage.take_signals(entry);
            left = left.saturating_sub(entry.len() as u64);
            left > 0
        });
        complete
    }

    /// Fills the batch with what is ready.
    fn fill(&mut self) {
        while !self.stage.out.is_full() && !self.stage.out.is_satisfied() {
            let Some(record) = self.order.next() else {
                return self.stage.caught_up(self.released_ns);
            };
            self.stage.take(record);
        }
    }

    /// Looks for losses and puts them into the stream.
    pub(super) fn check(&mut self) -> Result<Step, Error> {
        if self.writer.is_gone() {
            return Ok(Step::Stop);
        }
        let counters = self.tracer.counters()?;
        let lost = Lost {
            ring_full: counters.lost_ring_full,
            output: 0,
            undecodable: self.stage.out.account.undecodable,
            missed_runs: self.tracer.missed_runs().unwrap_or(0),
            others: counters.signals_lost + self.tracer.missed_signals(),
        };
        self.tell(lost);
        self.stage.out.batch.extend(self.others.try_iter());
        self.stage.tick(monotonic_ns().saturating_sub(PATIENCE_NS));
        self.confirm();
        let half_open =
            (self.tracer.half_open_counters()?.lost_ring_full, self.tracer.half_open_missed_runs());
        if let Some(side) = &mut self.stage.half_open {
            side.check(half_open, &self.stage.tracker, &mut self.stage.out);
        }
        Ok(self.drain())
    }

    /// Ends the trace: detach, take what is left in the ring, wait for the writer, settle the account.
    pub(super) fn finish(
        mut self,
        start_ns: u64,
        count_only: bool,
        grace: Duration,
    ) -> Result<(Summary, Ending), Error> {
        let mut patience = Patience::new(grace);
        self.tracer.detach();
        let end_ns = monotonic_ns();
        // A trace may be shorter than the list takes.
        while self.waits_for_list() && !patience.is_over(self.writer.written()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let counters = self.read_rest(&mut patience, count_only)?;
        self.stage.finish();
        self.stage.out.batch.extend(self.others.try_iter());
        let half_open = self.tracer.half_open_counters()?;
        let Stage { half_open: side, out, .. } = &mut self.stage;
        let half_open = side
            .as_mut()
            .map(|side| side.finish(half_open, self.tracer.half_open_missed_runs(), &mut out.batch));

        let (missed_runs, missed_signals) = (self.tracer.missed_runs(), self.tracer.missed_signals());
        let submitted = if count_only { 0 } else { counters.delivered };
        let settle = |account: &Account, written| {
            let lost = account.settle(counters.lost_ring_full, missed_runs.unwrap_or(0), submitted, written);
            Lost { others: counters.signals_lost + missed_signals, ..lost }
        };
        // What the writer still holds is not lost yet.
        let before = settle(&self.stage.out.account, self.stage.out.account.sent);
        self.tell(before);
        let mut summary = Summary {
            ktime_ns: end_ns,
            elapsed_ns: end_ns.saturating_sub(start_ns),
            delivered: if count_only { counters.delivered } else { self.stage.out.account.sent },
            filtered: counters.filtered + self.stage.tracker.filtered() + self.stage.out.account.surplus,
            counters,
            lost: before,
            missed_runs_known: missed_runs.is_some(),
            evicted: self.stage.tracker.evicted(),
            inferred: self.stage.out.account.inferred,
            reconciled: self.stage.tracker.reconciled(),
            unlisted: self.lists.as_ref().and_then(|lists| lists.unlisted().map(str::to_owned)),
            connections: match self.stage.out.view {
                View::Transitions => None,
                View::Connections => Some(self.stage.out.account.connections),
            },
            half_open,
        };
        self.stage.out.batch.push(Record::Summary(Box::new(summary.clone())));
        while self.offer() == Offer::Full && !patience.is_over(self.writer.written()) {
            std::thread::sleep(Duration::from_millis(2));
        }
        let (written, ending) = self.writer.finish(&mut patience);
        if !count_only {
            summary.lost = settle(&self.stage.out.account, written.transitions);
            summary.delivered = written.transitions;
            summary.connections = summary.connections.map(|_| written.connections);
        }
        if let (Some(side), Some(half_open)) = (&self.stage.half_open, &mut summary.half_open) {
            side.settle(half_open, written.half_open);
        }
        Ok((summary, ending))
    }

    /// Takes the rest, waiting for the writer while `patience` lasts. A program that was running on
    /// another CPU while we detached may still add its record, so look until all that was counted is read.
    fn read_rest(
        &mut self,
        patience: &mut Patience,
        count_only: bool,
    ) -> Result<tcptrace_common::Counters, bpf::Error> {
        loop {
            if self.order.is_drained() {
                self.gather();
                self.order.release(u64::MAX);
            }
            while !self.stage.out.is_full()
                && let Some(record) = self.order.next()
            {
                self.stage.take(record);
            }
            self.tracer.flush_log();
            let gone = self.stage.out.is_full() && self.offer() == Offer::Gone;
            let counters = self.tracer.counters()?;
            let account = &self.stage.out.account;
            let all_read = account.read >= counters.delivered && account.others >= counters.signals_delivered;
            let half_open = self.tracer.half_open_counters()?;
            let complete = self.order.is_drained()
                && (count_only || all_read)
                && self.stage.half_open.as_ref().is_none_or(|side| side.is_complete(&half_open));
            if complete || gone || patience.is_over(self.writer.written()) {
                return Ok(counters);
            }
            if self.stage.out.is_full() {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// Puts a loss record into the batch if anything was lost since the last one.
    fn tell(&mut self, lost: Lost) {
        let since = lost.since(&self.told);
        if since.total() == 0 {
            return;
        }
        if let Some(total) = NonZeroU64::new(lost.total()) {
            self.stage.tracker.gap(monotonic_ns());
            if let Some(side) = &mut self.stage.half_open {
                side.gap(monotonic_ns());
            }
            let loss = Loss { ktime_ns: monotonic_ns(), lost: since, total };
            self.stage.out.batch.push(Record::Loss(loss));
            self.told = lost;
        }
    }

    fn offer(&mut self) -> Offer {
        self.writer.offer(&mut self.stage.out.batch)
    }

    fn step(&self) -> Step {
        if self.stage.out.is_satisfied() || self.writer.is_gone() { Step::Stop } else { Step::Continue }
    }
}
