//! The half-open connections of one local end.

use crate::{
    detect::{Sample, Seen, culprits::Culprits},
    half_open::{Change, End, What},
    hash::HashSet,
    state::State,
};

/// Clients of this host that are told apart.
const HERE: usize = 65_536;

#[derive(Default)]
pub(super) struct Pile {
    pub(super) begun: u64,
    pub(super) completed: u64,
    pub(super) given_up: u64,
    pub(super) retransmits: u64,
    /// Most that were open at once.
    pub(super) most: u64,
    /// Those whose SYN-ACK was sent again.
    again: u64,
    /// Of these, the ones that were completed later, and the ones that ended otherwise.
    again_completed: u64,
    again_ended: u64,
    /// Without an answer at the last scan.
    unanswered_at_scan: u64,
    /// Cookies of those whose client is on this host and takes them for established: it has answered.
    here: HashSet<u64>,
    /// The listener's accept queue was full: what answered had no room, and is asked again.
    was_full: bool,
    /// Sources of those whose SYN-ACK was sent again.
    pub(super) culprits: Culprits,
}

/// The half-open connections of one local end, as a scan has them.
#[derive(Default)]
pub(super) struct Waiting {
    all: u64,
    unanswered: u64,
    here: Vec<u64>,
}

impl Waiting {
    pub(super) fn add(&mut self, sample: &Sample, seen: &Seen) {
        let socket = &seen.socket;
        self.all += 1;
        if socket.timer.is_none_or(|timer| timer.retransmits == 0) {
            return;
        }
        let other = sample.other_end(socket).map(|other| other.socket.state);
        if other == Some(State::ESTABLISHED) {
            self.here.push(socket.cookie);
        } else {
            self.unanswered += 1;
        }
    }
}

impl Pile {
    pub(super) fn change(&mut self, change: &Change) {
        self.most = self.most.max(change.open);
        let was_sent_again = change.retransmits > 0;
        match change.what {
            What::Begin(_) => {
                self.begun += 1;
                if was_sent_again {
                    self.sent_again(change);
                }
            }
            What::Retransmit => {
                self.retransmits += 1;
                if change.retransmits == 1 {
                    self.sent_again(change);
                }
            }
            What::End(End::Completed) => {
                self.completed += 1;
                self.again_completed += u64::from(was_sent_again);
            }
            What::End(_) => {
                self.given_up += 1;
                self.again_ended += u64::from(was_sent_again);
            }
        }
    }

    fn sent_again(&mut self, change: &Change) {
        self.again += 1;
        self.culprits.peer(change.connection.raddr, None);
    }

    /// As many as events tell, without those that were completed.
    fn by_events(&self) -> u64 {
        let here = self.here.len() as u64;
        self.again.saturating_sub(self.again_completed).saturating_sub(here)
    }

    /// Its listener's accept queue is full.
    pub(super) fn is_full(&mut self) {
        self.was_full = true;
    }

    pub(super) fn scan(&mut self, waiting: Waiting) {
        self.most = self.most.max(waiting.all);
        let room = HERE.saturating_sub(self.here.len());
        self.here.extend(waiting.here.into_iter().take(room));
        self.unanswered_at_scan = waiting.unanswered;
    }

    /// How many SYN-ACKs got no answer; `overflows`: ACKs that found an accept queue full.
    pub(super) fn unanswered(&self, overflows: u64) -> u64 {
        // Where no event tells of SYN-ACKs, scans and ends do.
        let by_scans = self.unanswered_at_scan.saturating_add(self.again_ended);
        let all = self.by_events().max(by_scans.saturating_sub(self.here.len() as u64));
        all.saturating_sub(if self.was_full { overflows } else { 0 })
    }
}
