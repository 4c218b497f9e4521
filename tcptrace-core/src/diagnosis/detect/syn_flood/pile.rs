//! The half-open connections of one local end.

use crate::{
    diagnosis::detect::{Sample, Seen, culprits::Culprits},
    model::{
        half_open::{Change, End, What},
        hash::HashSet,
        state::State,
    },
};

/// The capacity for clients on this host.
const HERE: usize = 65_536;

#[derive(Default)]
pub(super) struct Pile {
    pub(super) begun: u64,
    pub(super) completed: u64,
    pub(super) given_up: u64,
    pub(super) retransmits: u64,
    /// The maximum that was open at once.
    pub(super) most: u64,
    /// Half-open connections that ended without an answer, although their SYN-ACK was sent again.
    ended: u64,
    /// Half-open connections without an answer, at the last scan.
    unanswered_at_scan: u64,
    /// Cookies of half-open connections whose client is on this host and has the connection as established: the client has
    /// answered.
    here: HashSet<u64>,
    /// Whether the listener's accept queue was full: clients that answered did not fit, and get the SYN-ACK again.
    was_full: bool,
    /// Sources of half-open connections whose SYN-ACK was sent again.
    pub(super) culprits: Culprits,
}

/// The half-open connections of one local end, at a scan.
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
            What::End(end) => {
                let is_completed = end == End::Completed;
                *(if is_completed { &mut self.completed } else { &mut self.given_up }) += 1;
                if was_sent_again {
                    self.ended += u64::from(!is_completed);
                    // The connection no longer counts in the last scan.
                    self.unanswered_at_scan = self.unanswered_at_scan.saturating_sub(1);
                }
            }
        }
    }

    fn sent_again(&mut self, change: &Change) {
        self.culprits.peer(change.connection.flow.remote.address, None);
    }

    /// Records that the listener's accept queue is full.
    pub(super) fn is_full(&mut self) {
        self.was_full = true;
    }

    pub(super) fn scan(&mut self, waiting: Waiting) {
        self.most = self.most.max(waiting.all);
        let room = HERE.saturating_sub(self.here.len());
        self.here.extend(waiting.here.into_iter().take(room));
        self.unanswered_at_scan = waiting.unanswered;
    }

    /// The number of SYN-ACKs without an answer, from scans and ends only: a lost record of a completion must not count.
    /// `overflows`: ACKs that found a full accept queue.
    pub(super) fn unanswered(&self, overflows: u64) -> u64 {
        let ended = self.ended.saturating_sub(self.here.len() as u64);
        let all = self.unanswered_at_scan.saturating_add(ended);
        all.saturating_sub(if self.was_full { overflows } else { 0 })
    }
}
