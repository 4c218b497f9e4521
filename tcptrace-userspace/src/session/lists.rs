//! When to make a list of the host's sockets, and when to take it into account.

use std::{
    io,
    time::{Duration, Instant},
};

use tcptrace_core::model::{
    listing::{Listing, Scope},
    wanted::Wanted,
};

use super::lister::{Lister, Progress};
use crate::scan::snapshot::Netns;

/// How long transitions wait at the start for the list of what is older than they are.
const START_LIMIT: Duration = Duration::from_millis(300);

/// How often timewait sockets are listed while one of them waits for its peer's FIN: so often that a reader does not mind.
const TIMEWAIT_EVERY: Duration = Duration::from_secs(1);
/// How soon all are listed again when it is to be found out who holds a socket.
const SOON: Duration = Duration::from_secs(1);
/// On a host with many sockets, lists take a hundredth of the time.
const SHARE: u32 = 100;
/// And one that is to find out who holds a socket a twentieth, since others wait for its answer, and it is made once.
const SHARE_SOON: u32 = 20;

/// How often all sockets are listed, to put right what the trace has missed.
const ALL_EVERY: Duration = Duration::from_secs(30);

/// When lists of one kind were made.
struct Turn {
    every: Duration,
    ordered: Instant,
    /// How long the last one took.
    took: Duration,
    /// They take one part in so many of the time.
    share: u32,
}

impl Turn {
    fn is_due(&self) -> bool {
        self.ordered.elapsed() >= self.every.max(self.took * self.share)
    }
}

/// The lists of a trace.
pub(super) struct Lists {
    lister: Lister,
    /// Until then the first list is waited for.
    start: Option<Instant>,
    /// The first list took longer than that, or could not be had, and is still to come.
    late: bool,
    all: Turn,
    timewait: Turn,
    /// A list that is newer than what has been released so far.
    early: Option<Listing>,
    /// What the first list could not see, for people.
    unlisted: Option<String>,
}

impl Lists {
    /// Orders the first list.
    ///
    /// # Errors
    /// When there can be no thread for it.
    pub(super) fn start(wanted: Wanted, netns: Option<Netns>) -> io::Result<Self> {
        let mut lister = Lister::start(wanted, netns)?;
        lister.order(Scope::All);
        let now = Instant::now();
        let turn = |every| Turn { every, ordered: now, took: Duration::ZERO, share: SHARE };
        Ok(Self {
            lister,
            start: Some(now + START_LIMIT),
            late: false,
            all: turn(ALL_EVERY),
            timewait: turn(TIMEWAIT_EVERY),
            early: None,
            unlisted: None,
        })
    }

    /// The first list; nothing when it cannot be had, takes too long, or has been taken.
    pub(super) fn first(&mut self) -> Progress {
        let Some(limit) = self.start else { return Progress::Nothing };
        let progress = match self.lister.take() {
            Progress::Waiting if Instant::now() < limit => return Progress::Waiting,
            progress => progress,
        };
        self.start = None;
        match progress {
            Progress::Done(listing) => {
                self.note_first(&listing);
                return Progress::Done(listing);
            }
            Progress::Failed(error) => (self.unlisted, self.late) = (Some(error.to_string()), true),
            Progress::Waiting => self.late = true,
            Progress::Nothing => {}
        }
        Progress::Nothing
    }

    fn note_first(&mut self, listing: &Listing) {
        // How long one of timewait sockets takes, the first of these will show.
        self.all.took = listing.took;
        self.unlisted = listing.unseen();
    }

    /// What the first list could not see; `None` when it saw all.
    pub(super) fn unlisted(&self) -> Option<&str> {
        self.unlisted.as_deref()
    }

    /// Whether the first list is waited for.
    pub(super) fn is_starting(&self) -> bool {
        self.start.is_some()
    }

    /// Orders the list that is due, if any; one of timewait sockets only if it is wanted.
    pub(super) fn order(&mut self, timewait: bool) -> Option<Scope> {
        if self.lister.is_busy() || self.early.is_some() {
            return None;
        }
        let scope = match (self.all.is_due(), timewait && self.timewait.is_due()) {
            (true, _) => Scope::All,
            (_, true) => Scope::Timewait,
            _ => return None,
        };
        let turn = self.turn(scope);
        turn.ordered = Instant::now();
        if scope == Scope::All {
            (turn.every, turn.share) = (ALL_EVERY, SHARE);
        }
        self.lister.order(scope);
        Some(scope)
    }

    /// Orders the next list of all sockets as soon as possible.
    pub(super) fn hurry(&mut self) {
        self.all.every = Duration::ZERO;
        self.all.took = Duration::ZERO;
    }

    /// Orders the next list of all sockets soon: somebody else holds some of them now.
    pub(super) fn hasten(&mut self) {
        (self.all.every, self.all.share) = (self.all.every.min(SOON), SHARE_SOON);
    }

    /// A later list, once everything up to its end has been released; and whether it is the first one all the same.
    pub(super) fn later(&mut self, released_ns: u64) -> Option<(Listing, bool)> {
        if self.early.is_none() {
            match self.lister.take() {
                Progress::Done(listing) => {
                    self.turn(listing.scope).took = listing.took;
                    self.early = Some(listing);
                }
                Progress::Failed(error) if self.late => self.unlisted = Some(error.to_string()),
                Progress::Failed(_) | Progress::Waiting | Progress::Nothing => {}
            }
        }
        let listing = self.early.take_if(|listing| listing.end_ns() <= released_ns)?;
        let is_first = std::mem::take(&mut self.late);
        if is_first {
            self.note_first(&listing);
        }
        Some((listing, is_first))
    }

    fn turn(&mut self, scope: Scope) -> &mut Turn {
        match scope {
            Scope::All => &mut self.all,
            Scope::Timewait => &mut self.timewait,
        }
    }
}
