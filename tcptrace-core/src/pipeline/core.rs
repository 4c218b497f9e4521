//! The pure half of a trace: it turns inputs into records for the writer. It reads no clock and asks no kernel, so the same
//! inputs, live or from a capture, always give the same output.

use std::num::NonZeroU64;

use tcptrace_common::Level;

use super::{
    Options,
    account::Account,
    degraded::LossReporter,
    half_open::Side,
    order::{Added, Order},
    outgoing::{Outgoing, Written},
    resolver::ResolverCache,
    stage::Stage,
    tail::TailGap,
};
use crate::{
    diagnosis::{Detection, detect, report::left_out},
    model::{
        header::Header,
        input::{Checked, Counted, Ended, Input},
        loss::Lost,
        record::{Loss, Record},
        socket_filter::SocketFilter,
        stats::Stats,
        summary::Summary,
        view::View,
    },
    pipeline::{
        Interest, Sink,
        tracker::{self, Spent, Tracker},
    },
};

/// Delay of inferred transitions, nanoseconds. By then, the events before them have come.
pub const PATIENCE_NS: u64 = 100_000_000;

/// The part of a trace between the ring and the writer.
pub struct Core {
    order: Order,
    stage: Stage,
    /// Whether transitions are only counted.
    count_only: bool,
    /// Time up to which all records have been released, nanoseconds of `CLOCK_MONOTONIC`.
    released_ns: u64,
    /// The number of records that have been taken.
    taken: u64,
    /// Losses already reported.
    told: Lost,
    /// The last counters.
    counted: Counted,
    loss_reporter: LossReporter,
}

impl Core {
    /// Makes the core for the trace of this `header`. `filters`: the filters that the kernel side has not applied.
    pub fn of(
        options: &Options,
        header: &Header,
        answers: ResolverCache,
        filters: Option<SocketFilter>,
        sink: Option<Box<dyn Sink>>,
    ) -> Self {
        let Options { limit, count_only, .. } = *options;
        let half_open = options.half_open.then(|| Side::new(limit, options.wanted.clone(), count_only));
        let tracker = Tracker::new(tracker::Options {
            limit,
            wanted: options.wanted.clone(),
            hidden: header.hidden,
            reset_reasons: header.reset_reasons.clone(),
            retransmits: header.retransmits,
            resets: header.resets,
            spent: match options.view {
                View::Connections => Spent::Told,
                View::Transitions => Spent::Untold,
            },
            infer: options.infer,
            cookies: header.cookies,
        });
        let detection = options.detect.clone().map(|detect| {
            let of_one_process = detect.of_one_process || header.tgid != 0;
            Detection::new(detect::Options { own_netns: header.own_netns, of_one_process, ..detect })
        });
        let out = Outgoing::new(sink, detection, options, filters);
        Self {
            order: Order::default(),
            stage: Stage { tracker, answers, half_open, out },
            count_only,
            released_ns: 0,
            taken: 0,
            told: Lost::default(),
            counted: Counted::default(),
            loss_reporter: LossReporter::default(),
        }
    }

    /// Takes an input. An input other than an entry may come only when every released record has been taken. So all inputs
    /// have one order, in which a capture replays them.
    pub fn apply(&mut self, input: Input<'_>) {
        debug_assert!(self.is_in_order(&input), "{input:?} comes before what was released has been taken");
        let stage = &mut self.stage;
        match input {
            Input::Entry(entry) => self.order.add(entry, stage),
            Input::Released(until_ns) => self.release(until_ns),
            Input::Process(answer) => stage.answers.process(answer),
            Input::Namespace(answer) => stage.answers.namespace(answer),
            Input::Device(answer) => stage.answers.device(answer),
            Input::FirstDump(dump) => stage.first_dump(dump),
            Input::DumpBegins => stage.tracker.expect_dump(),
            Input::Dumped { dump, is_first } => stage.later_dump(dump, is_first),
            Input::PollBegins => {
                if let Some(side) = &mut stage.half_open {
                    side.poll_begins();
                }
            }
            Input::Polled(poll) => stage.polled(&poll),
            Input::Scanned(scan) => stage.out.scanned(*scan),
            Input::Clock(change) => stage.out.put(&Record::Clock(change)),
            Input::Checked(checked) => self.check(&checked),
            Input::Counted(counted) => self.counted = *counted,
            Input::Exited(exit) => stage.tracker.exited(exit),
            Input::Ended(_) => {}
            Input::Unknown => stage.out.account.skipped_inputs += 1,
        }
    }

    fn is_in_order(&self, input: &Input<'_>) -> bool {
        matches!(input, Input::Entry(_) | Input::Unknown) || self.is_drained()
    }

    /// Asks the resolver whether some owners of sockets have ended.
    pub fn ask_exits(&mut self, now_ns: u64) {
        self.stage.ask_exits(now_ns);
    }

    /// Whether an answer of the resolver has something new.
    pub fn is_new(&self, answer: &Input<'_>) -> bool {
        match answer {
            Input::Exited(exit) => !self.stage.tracker.knows_exit(&exit.process),
            answer => self.stage.answers.is_new(answer),
        }
    }

    /// Whether a dump of all sockets could show the processes that hold sockets whose owner has ended.
    pub fn lacks_holders(&self) -> bool {
        self.stage.tracker.lacks_holders()
    }

    /// Makes every record up to this time ready to be taken.
    fn release(&mut self, until_ns: u64) {
        self.released_ns = until_ns;
        self.order.release(until_ns);
    }

    /// Whether every released record has been taken, and the last dump has been compared.
    pub fn is_drained(&self) -> bool {
        self.order.is_drained() && !self.is_comparing()
    }

    /// Whether a part of a dump is still to be compared. It is compared before the released records are taken.
    pub fn is_comparing(&self) -> bool {
        self.stage.tracker.is_confirming()
    }

    /// The number of records that wait for their turn.
    pub fn waiting(&self) -> usize {
        self.order.len()
    }

    /// The bytes of the records that wait, and of those taken since the last release.
    pub fn waiting_bytes(&self) -> u64 {
        self.order.bytes() as u64
    }

    /// The number of records that have been taken.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Time up to which all records have been released, nanoseconds of `CLOCK_MONOTONIC`.
    pub fn released_ns(&self) -> u64 {
        self.released_ns
    }

    /// Fills the chunk with the released records, or with the transitions that follow from a part of a dump, until `--count`
    /// is reached.
    pub fn fill(&mut self) {
        if !self.stage.out.is_satisfied() {
            self.fill_on();
        }
    }

    /// As [`Self::fill`], also after `--count` was reached: the account includes the records that come after it.
    pub fn fill_on(&mut self) {
        if self.is_comparing() && !self.stage.out.is_full() {
            return self.stage.compare();
        }
        while !self.stage.out.is_full() {
            let Some(record) = self.order.next() else {
                return self.stage.tracker.forget_signals(self.released_ns);
            };
            self.taken += 1;
            self.stage.take(record);
        }
    }

    /// The output for the writer.
    pub fn out(&mut self) -> &mut Outgoing {
        &mut self.stage.out
    }

    /// The resolver's answers about processes, namespaces and devices, and the open questions to the resolver.
    pub fn answers(&mut self) -> &mut ResolverCache {
        &mut self.stage.answers
    }

    /// Whether the tracker needs a dump of timewait sockets.
    pub fn wants_dump(&self) -> bool {
        self.stage.tracker.wants_dump()
    }

    /// The number of half-open connections now.
    pub fn half_open(&self) -> usize {
        self.stage.half_open.as_ref().map_or(0, Side::open)
    }

    /// Whether all records have come that the kernel side has put on the ring, by its counters.
    pub fn has_all(&self, counted: &Counted) -> bool {
        let Added { transitions, signals, half_open } = self.order.added();
        let counters = &counted.counters;
        self.count_only
            || (transitions >= counters.delivered
                && signals >= counters.signals_delivered
                && half_open >= counted.half_open.submitted())
    }

    fn check(&mut self, checked: &Checked) {
        let Account { undecodable, skipped_inputs, .. } = self.stage.out.account;
        let lost = Lost { undecodable, skipped_inputs, ..checked.lost };
        self.tell(checked.now_ns, lost);
        let told = self.loss_reporter.check(checked.now_ns, Level(checked.level), &self.counted);
        if told.grew {
            self.gap(checked.now_ns);
        }
        if let Some(degraded) = told.record {
            self.stage.out.put(&Record::Degraded(Box::new(degraded)));
        }
        self.stage.tick(checked.now_ns.saturating_sub(PATIENCE_NS));
        let Stage { half_open, tracker, out, .. } = &mut self.stage;
        if let Some(side) = half_open {
            side.check(checked, tracker, out);
        }
        self.stage.out.subscribers.check();
        if self.stage.out.subscribers.want(Interest::STATS) {
            let stats = self.stats(checked, lost);
            self.stage.out.stats(stats);
        }
    }

    /// The counters at a check.
    fn stats(&self, checked: &Checked, lost: Lost) -> Stats {
        Stats {
            ktime_ns: checked.now_ns,
            counted: self.counted.clone(),
            lost,
            level: Level(checked.level),
            sockets: self.stage.tracker.len(),
            half_open: self.half_open(),
            waiting: self.waiting(),
            subscribers: self.stage.out.subscribers.accounts(),
        }
    }

    /// Counts the records of a tail gap as surplus: the kernel side counted them, but the replay ended before it read them.
    pub fn forgo(&mut self, missing: TailGap) {
        if self.count_only {
            return;
        }
        self.stage.out.account.forgo(missing.transitions);
        if let Some(side) = &mut self.stage.half_open {
            side.forgo(missing.half_open);
        }
    }

    /// Ends the trace: emits what still waits, and settles the account as if the writer had written everything.
    pub fn finish(&mut self, start_ns: u64, ended: &Ended) -> Summary {
        self.stage.finish();
        let lost = self.lost(ended, self.stage.out.account.sent);
        self.tell(ended.end_ns, lost);
        if let Some(rest) = self.loss_reporter.finish(ended.end_ns, &ended.counted) {
            self.stage.out.put(&Record::Degraded(Box::new(rest)));
        }
        let Stage { half_open, tracker, out, .. } = &mut self.stage;
        let half_open = half_open.as_mut().map(|side| side.finish(ended, out));
        let (counters, account) = (ended.counted.counters, &out.account);
        Summary {
            ktime_ns: ended.end_ns,
            elapsed_ns: ended.end_ns.saturating_sub(start_ns),
            delivered: if self.count_only { counters.delivered } else { account.sent },
            filtered: (tracker.filtered() + account.surplus + account.hidden)
                .saturating_add(counters.filtered),
            counters,
            lost,
            missed_runs_known: ended.missed_runs.is_some(),
            evicted: tracker.evicted(),
            second_children: tracker.second_children(),
            inferred: account.inferred,
            reconciled: tracker.reconciled(),
            snapshot_gaps: ended.snapshot_gaps.clone(),
            uncounted: out.detection().map(uncounted).unwrap_or_default(),
            connections: match out.view {
                View::Transitions => None,
                View::Connections => Some(account.connections),
            },
            half_open,
        }
    }

    /// The detectors and their findings.
    pub fn into_detection(self) -> Option<Detection> {
        self.stage.out.into_detection()
    }

    /// Corrects the account by what the writer has written.
    pub fn settle(&self, summary: &mut Summary, ended: &Ended, written: Written) {
        let Written { transitions, connections, half_open } = written;
        if !self.count_only {
            summary.lost = self.lost(ended, transitions);
            summary.delivered = transitions;
            summary.connections = summary.connections.map(|_| connections);
        }
        if let (Some(side), Some(summary)) = (&self.stage.half_open, &mut summary.half_open) {
            side.settle(summary, half_open);
        }
    }

    /// Notes that up to `now_ns`, transitions may have happened that no record reports.
    fn gap(&mut self, now_ns: u64) {
        self.stage.tracker.gap(now_ns);
        if let Some(side) = &mut self.stage.half_open {
            side.gap(now_ns);
        }
    }

    fn lost(&self, ended: &Ended, written: u64) -> Lost {
        let account: &Account = &self.stage.out.account;
        let counters = &ended.counted.counters;
        let submitted = if self.count_only { 0 } else { ended.submitted.unwrap_or(account.read) };
        let lost =
            account.settle(counters.lost_ring_full, ended.missed_runs.unwrap_or(0), submitted, written);
        Lost { others: counters.signals_lost.saturating_add(ended.missed_signals), ..lost }
    }

    /// Emits a loss, if there was one since the last report.
    fn tell(&mut self, now_ns: u64, lost: Lost) {
        let since = lost.since(&self.told);
        if since.total() == 0 {
            return;
        }
        if let Some(total) = NonZeroU64::new(lost.total()) {
            self.gap(now_ns);
            self.stage.out.put(&Record::Loss(Loss { ktime_ns: now_ns, lost: since, total }));
            self.told = lost;
        }
    }
}

/// Limits of the detectors, in words.
fn uncounted(detection: &Detection) -> Vec<String> {
    detection.left_out().into_iter().map(|(ids, count)| left_out(ids, count)).collect()
}
