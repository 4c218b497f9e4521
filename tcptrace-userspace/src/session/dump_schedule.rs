//! When to make a dump of the host's sockets, and when to take it into account.

use std::time::{Duration, Instant};

use tcptrace_core::model::socket_dump::{Scope, SocketDump};

use super::scanner::{ScannerThread, Want};

/// How long transitions wait at the start for the dump of the pre-existing sockets.
const START_LIMIT: Duration = Duration::from_millis(300);

/// Interval between dumps of timewait sockets while one of them waits for its peer's FIN: short enough for a person who
/// reads the output.
const TIMEWAIT_EVERY: Duration = Duration::from_secs(1);
/// Interval to the next dump of all sockets when it is to find the holder of a socket.
const SOON: Duration = Duration::from_secs(1);
/// On a host with many sockets, dumps take at most a hundredth of the time.
const SHARE: u32 = 100;
/// A dump that is to find the holder of a socket takes at most a twentieth, since its result is waited for, and it is
/// made once.
const SHARE_SOON: u32 = 20;

/// How often all sockets are dumped, to put right what the trace has missed.
const ALL_EVERY: Duration = Duration::from_secs(30);

/// When dumps of one kind were made.
struct Turn {
    every: Duration,
    ordered: Instant,
    /// How long the last one took.
    took: Duration,
    /// The dumps take at most one part in this many of the time.
    share: u32,
}

impl Turn {
    fn is_due(&self) -> bool {
        self.ordered.elapsed() >= self.every.max(self.took * self.share)
    }
}

/// State of the first dump.
pub(super) enum Progress {
    /// The dump has not come yet.
    Waiting,
    /// The dump has come.
    Done(SocketDump),
    /// There is no dump to wait for.
    Nothing,
}

/// The dumps of a trace.
pub(super) struct DumpSchedule {
    /// The end of the wait for the first dump, while that goes on.
    start: Option<Instant>,
    /// The first dump took longer than that, or could not be had, and is still to come.
    late: bool,
    all: Turn,
    timewait: Turn,
    /// A dump that is newer than what has been released so far.
    early: Option<SocketDump>,
    /// Gaps of the first dump, for people.
    snapshot_gaps: Option<String>,
}

impl DumpSchedule {
    /// Orders the first dump.
    pub(super) fn start(scanner: &mut ScannerThread) -> Self {
        scanner.want(Want::Dump(Scope::All));
        let now = Instant::now();
        let turn = |every| Turn { every, ordered: now, took: Duration::ZERO, share: SHARE };
        Self {
            start: Some(now + START_LIMIT),
            late: false,
            all: turn(ALL_EVERY),
            timewait: turn(TIMEWAIT_EVERY),
            early: None,
            snapshot_gaps: None,
        }
    }

    /// The first dump; nothing when it cannot be had, takes too long, or has been taken.
    pub(super) fn first(&mut self, scanner: &mut ScannerThread) -> Progress {
        let Some(limit) = self.start else { return Progress::Nothing };
        let dumped = scanner.take_dumped();
        if dumped.is_none() && !scanner.is_gone() && Instant::now() < limit {
            return Progress::Waiting;
        }
        self.start = None;
        match dumped {
            Some(Ok(dump)) => {
                self.note_first(&dump);
                return Progress::Done(dump);
            }
            Some(Err(error)) => (self.snapshot_gaps, self.late) = (Some(error.to_string()), true),
            None => self.late = true,
        }
        Progress::Nothing
    }

    fn note_first(&mut self, dump: &SocketDump) {
        // The first dump of timewait sockets will show how long these take.
        self.all.took = dump.took;
        self.snapshot_gaps = dump.unseen();
    }

    /// Gaps of the first dump; `None` when it has none.
    pub(super) fn snapshot_gaps(&self) -> Option<&str> {
        self.snapshot_gaps.as_deref()
    }

    /// Whether the session still waits for the first dump.
    pub(super) fn is_starting(&self) -> bool {
        self.start.is_some()
    }

    /// Orders the dump that is due, if any; one of timewait sockets only if the trace reports them.
    pub(super) fn order(&mut self, scanner: &mut ScannerThread, timewait: bool) -> Option<Scope> {
        if scanner.dumped.is_busy() || self.early.is_some() {
            return None;
        }
        let scope = match (self.all.is_due(), timewait && self.timewait.is_due()) {
            (true, _) => Scope::All,
            (_, true) => Scope::Timewait,
            _ => return None,
        };
        if !scanner.want(Want::Dump(scope)) {
            return None;
        }
        let turn = self.turn(scope);
        turn.ordered = Instant::now();
        if scope == Scope::All {
            (turn.every, turn.share) = (ALL_EVERY, SHARE);
        }
        Some(scope)
    }

    /// Orders the next dump of all sockets as soon as possible.
    pub(super) fn hurry(&mut self) {
        self.all.every = Duration::ZERO;
        self.all.took = Duration::ZERO;
    }

    /// Orders the next dump of all sockets soon: another process holds some of them now.
    pub(super) fn hasten(&mut self) {
        (self.all.every, self.all.share) = (self.all.every.min(SOON), SHARE_SOON);
    }

    /// A later dump, once everything up to its end has been released; and whether it is the first one all the same.
    pub(super) fn later(
        &mut self,
        scanner: &mut ScannerThread,
        released_ns: u64,
    ) -> Option<(SocketDump, bool)> {
        if self.early.is_none() {
            match scanner.take_dumped() {
                Some(Ok(dump)) => {
                    self.turn(dump.scope).took = dump.took;
                    self.early = Some(dump);
                }
                Some(Err(error)) if self.late => self.snapshot_gaps = Some(error.to_string()),
                Some(Err(_)) | None => {}
            }
        }
        let dump = self.early.take_if(|dump| dump.end_ns() <= released_ns)?;
        let is_first = std::mem::take(&mut self.late);
        if is_first {
            self.note_first(&dump);
        }
        Some((dump, is_first))
    }

    fn turn(&mut self, scope: Scope) -> &mut Turn {
        match scope {
            Scope::All => &mut self.all,
            Scope::Timewait => &mut self.timewait,
        }
    }
}
