//! Subscribers: parts of a program that take records themselves, not the bytes of an output.

use std::ops::BitOr;

use crate::model::{record::Record, stats::SubscriberAccount, transition::Transition};

/// Kinds of records, to be combined by `|`. Each kind includes [`Record::Clock`], and [`Record::Summary`], which is the last
/// record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest(u8);

impl Interest {
    /// Each transition. On a busy host these are many thousand a second.
    pub const TRANSITIONS: Self = Self(1);
    /// Transitions that end a connection, with the cause.
    pub const CONNECTIONS: Self = Self(2);
    /// Changes of half-open connections, where the trace follows them.
    pub const HALF_OPEN: Self = Self(4);
    /// Findings, where detectors run.
    pub const FINDINGS: Self = Self(8);
    /// Losses, and the counts of records that were left out.
    pub const LOSSES: Self = Self(16);
    /// Counters, four times a second while there is something to count, else once a second.
    pub const STATS: Self = Self(32);

    /// Whether it includes at least one kind of `other`.
    pub const fn includes(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn of(record: &Record) -> Self {
        match record {
            Record::Transition(transition) => Self::of_transition(transition),
            Record::HalfOpen(_) => Self::HALF_OPEN,
            Record::HalfOpenLoss(_) | Record::Loss(_) | Record::Degraded(_) => Self::LOSSES,
            Record::Finding(_) => Self::FINDINGS,
            Record::Stats(_) => Self::STATS,
            // A subscriber that shows times needs the clock.
            Record::Clock(_) | Record::Summary(_) => Self(u8::MAX),
        }
    }

    fn of_transition(transition: &Transition) -> Self {
        if transition.ends_connection() { Self::TRANSITIONS | Self::CONNECTIONS } else { Self::TRANSITIONS }
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The most accounts of ended subscribers to keep. A daemon may have any number of them.
const ENDED: usize = 64;

/// The name of the account that sums up the subscribers that ended before.
const EARLIER: &str = "(earlier ones)";

/// The trace's end of a subscription.
pub trait Subscriber: Send {
    /// The kinds of records to pass to the subscriber. The trace calls this once.
    fn interest(&self) -> Interest;

    /// Takes a record. Returns whether the subscription goes on.
    fn take(&mut self, record: &Record) -> bool;

    /// Whether the receiver of its records is gone.
    fn has_gone(&self) -> bool;

    /// Its account so far; `None` where none of its records can be lost.
    fn account(&self) -> Option<SubscriberAccount>;
}

/// All subscribers of a trace.
#[derive(Default)]
pub struct Subscribers {
    all: Vec<(Interest, Box<dyn Subscriber>)>,
    /// The kinds that at least one subscriber takes.
    union: Interest,
    /// The accounts of the subscribers that have ended.
    ended: Vec<SubscriberAccount>,
}

impl Subscribers {
    /// Adds a subscriber. It gets the records that come from now on.
    pub fn add(&mut self, subscriber: Box<dyn Subscriber>) {
        let interest = subscriber.interest();
        self.union = self.union | interest;
        self.all.push((interest, subscriber));
    }

    /// Whether a subscriber takes such records.
    pub fn want(&self, interest: Interest) -> bool {
        self.union.includes(interest)
    }

    /// Removes the subscribers whose receiver is gone. Without this, they would stay until a record of their kinds comes.
    pub(super) fn check(&mut self) {
        self.keep(|subscriber| !subscriber.has_gone(), Interest(u8::MAX));
    }

    /// The accounts of all subscribers, also of those that have ended. Where many have ended, the oldest share one account.
    pub fn accounts(&self) -> Vec<SubscriberAccount> {
        let open = self.all.iter().filter_map(|(_, subscriber)| subscriber.account());
        self.ended.iter().cloned().chain(open).collect()
    }

    /// Passes a transition to the subscribers.
    pub(super) fn transition(&mut self, transition: &Transition) {
        let kinds = Interest::of_transition(transition);
        if self.want(kinds) {
            self.give(kinds, &Record::Transition(transition.clone()));
        }
    }

    /// Passes a record of another kind to the subscribers.
    pub(super) fn put(&mut self, record: &Record) {
        let kinds = Interest::of(record);
        if self.want(kinds) {
            self.give(kinds, record);
        }
    }

    fn give(&mut self, kinds: Interest, record: &Record) {
        self.keep(|subscriber| subscriber.take(record), kinds);
    }

    /// Removes the subscribers with an interest in these kinds for which `goes_on` is false.
    fn keep(&mut self, mut goes_on: impl FnMut(&mut dyn Subscriber) -> bool, kinds: Interest) {
        let Self { all, union, ended } = self;
        let before = all.len();
        all.retain_mut(|(interest, subscriber)| {
            let is_kept = !interest.includes(kinds) || goes_on(subscriber.as_mut());
            if !is_kept {
                let account = subscriber.account();
                ended.extend(account.map(|account| SubscriberAccount { has_ended: true, ..account }));
            }
            is_kept
        });
        if all.len() < before {
            // Records that no subscriber takes any more cost nothing then.
            *union = all.iter().fold(Interest::default(), |union, (interest, _)| union | *interest);
        }
        while ended.len() > ENDED {
            let oldest = ended.remove(0);
            let next = &mut ended[0];
            next.name = EARLIER.into();
            next.delivered = next.delivered.saturating_add(oldest.delivered);
            next.lost = next.lost.saturating_add(oldest.lost);
        }
    }
}
