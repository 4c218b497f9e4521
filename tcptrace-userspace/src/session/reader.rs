//! The reading side. It moves records off the ring, through the core, into chunks for the writer. The recorder gets a
//! copy of every input of the core.

mod finish;
mod questions;

use std::{io, os::fd::OwnedFd, time::Duration};

use super::{
    Error,
    dump_schedule::{DumpSchedule, Progress},
    entrance::Entrance,
    namespaces::Namespaces,
    overload::{Found, Overload},
    poll_interval::PollInterval,
    polls::Polls,
    resolver::ResolverThread,
    scan_schedule::ScanSchedule,
    scanner::ScannerThread,
    writer::{Offer, Writer},
};
use crate::{
    bpf::{self, Tracer},
    sys::{self, clock::monotonic_ns},
};
use tcptrace_core::{
    model::{
        clock_watch::ClockWatch,
        input::{Checked, Counted, Input},
        loss::Lost,
        socket_dump::Scope,
    },
    pipeline::{Core, PATIENCE_NS},
};

/// Chunks in one turn. In a storm the ring never gets empty, and signals and timers must have their turn.
const CHUNKS: usize = 64;

/// How often losses are checked.
const CHECK: Duration = Duration::from_millis(250);
/// How often losses are checked while nothing happens.
const CHECK_ASLEEP: Duration = Duration::from_secs(1);

/// How to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// With the next timer.
    Continue,
    /// At once: there is more in the ring.
    More,
    Stop,
}

/// The longest time, in nanoseconds, between the timestamp of a record and its place in a batch, interruptions
/// included. The reset that belongs to a transition comes within it as well. It is less than the time between two polls
/// of a busy ring, so it causes no visible delay.
const SETTLING_NS: u64 = 10_000_000;

/// Tries to rotate a capture at one check.
const ROTATE_TRIES: u32 = 100;

pub(super) struct Reader {
    tracer: Tracer,
    entrance: Entrance,
    writer: Writer,
    queries: HostQueries,
    overload: Overload,
    clock: ClockWatch,
    /// How many times in a row the queue of the writer has been full.
    stalls: u32,
    /// How many times in a row records have waited for the resolver.
    awaits: u32,
    /// The time of the oldest record that waits for an answer, nanoseconds of `CLOCK_MONOTONIC`.
    waits_ns: Option<u64>,
    poll_interval: PollInterval,
}

/// The threads that ask the host, apart from the ring.
pub(super) struct HostQueries {
    /// Resolves processes and devices; `None` where there are no records.
    pub(super) resolver: Option<ResolverThread>,
    /// The scanner; where there is none, the fields below are `None` as well.
    pub(super) scanner: Option<ScannerThread>,
    pub(super) namespaces: Option<Namespaces>,
    pub(super) dumps: Option<DumpSchedule>,
    pub(super) polls: Option<Polls>,
    pub(super) scans: Option<ScanSchedule>,
}

impl Reader {
    pub(super) fn new(
        tracer: Tracer,
        entrance: Entrance,
        writer: Writer,
        queries: HostQueries,
        overload: Overload,
        clock: ClockWatch,
    ) -> Self {
        let poll_interval = PollInterval::Awake(monotonic_ns());
        let mut this = Self {
            tracer,
            entrance,
            writer,
            queries,
            overload,
            clock,
            stalls: 0,
            awaits: 0,
            waits_ns: None,
            poll_interval,
        };
        if this.queries.dumps.is_some() {
            this.entrance.feed(Input::DumpBegins);
        }
        // The header goes first.
        this.offer();
        this
    }

    /// A descriptor that is readable when the kernel side reports that the ring fills up.
    pub(super) fn wakeups(&self) -> io::Result<OwnedFd> {
        self.tracer.wakeups()
    }

    /// The pure half.
    pub(super) fn core(&mut self) -> &mut Core {
        &mut self.entrance.core
    }

    /// Empties the ring as far as the writer and the recorder keep up. Records that they cannot take stay in the ring.
    /// So there is one place to wait, and one place to lose records, where the kernel side counts exactly.
    pub(super) fn drain(&mut self) -> Step {
        self.tracer.flush_log();
        if self.entrance.core.is_drained() && self.entrance.log.has_room() {
            let now_ns = monotonic_ns();
            let complete = self.gather();
            self.keep_pace(now_ns, complete);
            let waits_ns = self.ask();
            if self.waits_for_dump() {
                return Step::Continue;
            }
            // Records that the recorder left in the ring may be older than records of other CPUs that were taken.
            if self.entrance.log.has_room() {
                let until_ns = now_ns.saturating_sub(if complete { SETTLING_NS } else { PATIENCE_NS });
                // Records wait for the answers about them, and all later records wait behind them.
                let until_ns = waits_ns.map_or(until_ns, |waits_ns| until_ns.min(waits_ns.saturating_sub(1)));
                let released_ns = self.entrance.core.released_ns();
                self.entrance.feed(Input::Released(until_ns.max(released_ns)));
            }
        }
        for _ in 0..CHUNKS {
            let comparing = self.entrance.core.is_comparing();
            self.fill();
            let out = self.entrance.core.out();
            let more = (comparing || out.is_full()) && !out.is_satisfied();
            if out.chunk.is_empty() && !more {
                return self.step();
            }
            let offer = self.offer();
            self.stalls = if offer == Offer::Full { self.stalls.saturating_add(1) } else { 0 };
            match offer {
                // Comparing many sockets takes a while, in which the ring fills.
                Offer::Taken if more && comparing => {
                    self.gather();
                }
                Offer::Taken if more => {}
                Offer::Taken | Offer::Full => return self.step(),
                Offer::Gone => return Step::Stop,
            }
        }
        Step::More
    }

    /// Falls asleep when there has been nothing to do for a while. `complete`: no record waits on any CPU.
    fn keep_pace(&mut self, now_ns: u64, complete: bool) {
        let something = !complete || self.entrance.core.waiting() > 0;
        let before = self.poll_interval;
        self.poll_interval = before.after(now_ns, something);
        if self.poll_interval == PollInterval::Arming
            && before != PollInterval::Arming
            && self.tracer.fall_asleep().is_err()
        {
            // The kernel side would not wake the reader.
            self.poll_interval = before;
        }
    }

    /// How long until the next poll of the ring; `None` while the kernel side wakes the reader.
    pub(super) fn until_next(&self) -> Option<Duration> {
        match self.stalls {
            0 => self.until_answer(self.poll_interval.until_next(self.entrance.core.taken())),
            // The writer empties its queue in some milliseconds, unless its output stalls.
            stalls => Some(Duration::from_millis(1 << stalls.min(5))),
        }
    }

    /// How long until the next check. Checks are rarer while nothing happens.
    pub(super) fn check_every(&self) -> Duration {
        let asks = self.queries.polls.is_some() || self.queries.scans.is_some();
        let rests = self.poll_interval == PollInterval::Asleep && self.overload.is_over() && !asks;
        if rests { CHECK_ASLEEP } else { CHECK }
    }

    /// Fills the chunk with what was released, and records that once it is complete.
    fn fill(&mut self) {
        self.entrance.core.fill();
        self.entrance.settle();
        self.send_questions();
    }

    /// Whether the dump of pre-existing sockets is still going on; takes the dump into account once it is there.
    fn waits_for_dump(&mut self) -> bool {
        let HostQueries { scanner: Some(scanner), dumps: Some(dumps), .. } = &mut self.queries else {
            return false;
        };
        if !dumps.is_starting() {
            return false;
        }
        match dumps.first(scanner) {
            Progress::Waiting => return true,
            Progress::Done(dump) => {
                for piece in dump.pieces() {
                    self.entrance.feed(Input::FirstDump(piece));
                    // The ring fills meanwhile.
                    self.gather();
                }
            }
            Progress::Nothing => {}
        }
        false
    }

    /// Compares the remembered sockets with the kernel's dumps, and orders the next dump.
    fn compare(&mut self) {
        let HostQueries { scanner: Some(scanner), dumps: Some(dumps), .. } = &mut self.queries else {
            return;
        };
        if dumps.is_starting() {
            return;
        }
        let later = dumps.later(scanner, self.entrance.core.released_ns());
        if self.entrance.core.lacks_holders() {
            dumps.hasten();
        }
        if let Some((dump, is_first)) = later {
            let is_first = is_first || self.entrance.log.begins_with(dump.scope);
            // The next one is ordered once this one has been compared.
            return self.entrance.feed(Input::Dumped { dump, is_first });
        }
        if dumps.order(scanner, self.entrance.core.wants_dump()) == Some(Scope::All) {
            self.entrance.feed(Input::DumpBegins);
        }
    }

    /// Takes a poll of half-open connections, and asks for the next one.
    fn poll(&mut self) {
        let HostQueries { scanner: Some(scanner), polls: Some(polls), .. } = &mut self.queries else {
            return;
        };
        if let Some(poll) = polls.next(scanner, self.entrance.core.released_ns()) {
            self.entrance.feed(Input::Polled(poll));
        }
        if polls.ask(scanner, self.entrance.core.half_open()) {
            self.entrance.feed(Input::PollBegins);
        }
    }

    /// Takes every record that had been made when it was called. Returns `false` if some of them still wait, on their
    /// CPU or in the ring.
    fn gather(&mut self) -> bool {
        let flushed = self.tracer.flush();
        let Self { tracer, entrance, .. } = self;
        let taken = tracer.drain(|entry| {
            entrance.feed(Input::Entry(entry));
            entrance.log.has_room()
        });
        self.send_questions();
        flushed && taken
    }

    /// Checks for losses, and takes results from the host, once all released records have been taken.
    pub(super) fn check(&mut self) -> Result<Step, Error> {
        if self.writer.is_gone() || !self.entrance.log.check() {
            return Ok(Step::Stop);
        }
        // Conclusions from time, and from the host, come after the records up to then.
        let now_ns = monotonic_ns();
        let is_behind = self.waits_ns.is_some_and(|waits_ns| waits_ns + PATIENCE_NS < now_ns);
        if self.entrance.core.is_drained() && !is_behind {
            self.check_host()?;
        }
        self.entrance.log.flush();
        Ok(self.drain())
    }

    fn check_host(&mut self) -> Result<(), Error> {
        let counted = self.counted()?;
        // The level goes first: it holds for all records after the time that is reported with it.
        let level = self.choose_level(&counted)?;
        if !self.entrance.log.has_room() {
            // Inputs that cannot be recorded are not taken. They wait in the ring, as scans and dumps wait, and are
            // reported later.
            return Ok(());
        }
        let checked = Checked { level, ..self.checked(&counted) };
        self.take_answers(checked.now_ns);
        self.entrance.feed(Input::Counted(Box::new(counted)));
        if self.entrance.log.is_full() {
            self.rotate()?;
        }
        let now_ns = checked.now_ns;
        // The clock goes before the other inputs of this moment, whose times are shown by it.
        if let Some(change) = self.clock.check(&sys::clock::read()) {
            self.entrance.feed(Input::Clock(change));
        }
        self.entrance.feed(Input::Checked(checked));
        if let HostQueries { scanner: Some(scanner), scans: Some(scans), .. } = &mut self.queries
            && let Some(scan) = scans.next(scanner)
        {
            self.entrance.feed(Input::Scanned(Box::new(scan)));
        }
        self.entrance.core.ask_exits(now_ns);
        self.compare();
        // A poll comes after all records from a dump.
        if self.entrance.core.is_drained() {
            self.poll();
        }
        if let Some(scanner) = &mut self.queries.scanner {
            scanner.send();
        }
        Ok(())
    }

    /// Chooses how much to leave out until the next check.
    fn choose_level(&mut self, counted: &Counted) -> Result<u32, bpf::Error> {
        let before = self.tracer.level()?;
        // The check runs only when everything that was released has been taken as well.
        let calm = self.entrance.log.has_room();
        let found = Found { now_ns: monotonic_ns(), wanted: counted.wanted(), level: before, calm };
        let level = self.overload.check(found);
        if level != before {
            self.tracer.set_level(level)?;
        }
        Ok(level.0)
    }

    /// Goes on in another file, at a moment when this one has every record that was counted. With very many records
    /// that moment does not come; then the next check tries again.
    fn rotate(&mut self) -> Result<(), Error> {
        for _ in 0..ROTATE_TRIES {
            self.gather();
            self.take_answers(monotonic_ns());
            let counted = self.counted()?;
            if !self.is_waiting()
                && counted.counters.is_settled()
                && self.entrance.core.has_all(&counted)
                && self.entrance.log.has_room()
            {
                let checked = self.checked(&counted);
                self.entrance.log.rotate(&counted, &checked, self.entrance.core.answers());
                if let Some(dumps) = &mut self.queries.dumps {
                    dumps.hurry();
                }
                return Ok(());
            }
        }
        Ok(())
    }

    fn counted(&self) -> Result<Counted, bpf::Error> {
        let (counters, half_open) = (self.tracer.counters()?, self.tracer.half_open_counters()?);
        Ok(Counted { counters, half_open })
    }

    fn checked(&mut self, counted: &Counted) -> Checked {
        let lost = Lost {
            ring_full: counted.counters.lost_ring_full,
            missed_runs: self.tracer.missed_runs().unwrap_or(0),
            others: counted.counters.signals_lost + self.tracer.missed_signals(),
            ..Lost::default()
        };
        Checked {
            now_ns: monotonic_ns(),
            lost,
            half_open: (counted.half_open.lost_ring_full, self.tracer.half_open_missed_runs()),
            retries: self.queries.namespaces.as_ref().map(Namespaces::retries).unwrap_or_default(),
            level: 0,
        }
    }

    fn offer(&mut self) -> Offer {
        self.writer.offer(&mut self.entrance.core.out().chunk)
    }

    fn step(&mut self) -> Step {
        let satisfied = self.entrance.core.out().is_satisfied();
        if satisfied || self.writer.is_gone() { Step::Stop } else { Step::Continue }
    }
}
