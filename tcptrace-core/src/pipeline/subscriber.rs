//! Subscribers: parts of a program that take records as they are, and not as bytes of an output.

use std::ops::BitOr;

use crate::model::{record::Record, stats::SubscriberAccount, transition::Transition};

/// Kinds of records, to be combined by `|`. [`Record::Clock`] and [`Record::Summary`], the end, belong to each of them.
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
    /// Losses, and what was only counted.
    pub const LOSSES: Self = Self(16);
    /// Counters, four times a second while there is something to count, else once a second.
    pub const STATS: Self = Self(32);

    /// Whether it has one of the kinds of `other`.
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
            // Whoever shows times needs it.
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

/// Accounts of subscribers that have ended. A daemon has any number of them.
const ENDED: usize = 64;

/// The name of the account that has those of all that ended before.
const EARLIER: &str = "(earlier ones)";

/// The trace's end of a subscription.
pub trait Subscriber: Send {
    /// Which records it wants. It is asked once.
    fn interest(&self) -> Interest;

    /// Takes a record; whether it wants more.
    fn take(&mut self, record: &Record) -> bool;

    /// Whether nobody takes its records any more.
    fn has_gone(&self) -> bool;

    /// Its account so far; `None` where none of its records can be lost.
    fn account(&self) -> Option<SubscriberAccount>;
}

/// All subscribers of a trace.
#[derive(Default)]
pub struct Subscribers {
    all: Vec<(Interest, Box<dyn Subscriber>)>,
    /// What at least one of them wants.
    union: Interest,
    /// The accounts of those that have ended.
    ended: Vec<SubscriberAccount>,
}

impl Subscribers {
    /// Adds one. It gets what comes from now on.
    pub fn add(&mut self, subscriber: Box<dyn Subscriber>) {
        let interest = subscriber.interest();
        self.union = self.union | interest;
        self.all.push((interest, subscriber));
    }

    /// Whether one of them wants such records.
    pub fn want(&self, interest: Interest) -> bool {
        self.union.includes(interest)
    }

    /// Forgets those that have gone: they may not want anything that comes.
    pub(super) fn check(&mut self) {
        self.keep(|subscriber| !subscriber.has_gone(), Interest(u8::MAX));
    }

    /// The accounts of all, also of those that have ended. Of many of these the oldest are one account.
    pub fn accounts(&self) -> Vec<SubscriberAccount> {
        let open = self.all.iter().filter_map(|(_, subscriber)| subscriber.account());
        self.ended.iter().cloned().chain(open).collect()
    }

    /// Gives them a transition.
    pub(super) fn transition(&mut self, transition: &Transition) {
        let kinds = Interest::of_transition(transition);
        if self.want(kinds) {
            self.give(kinds, &Record::Transition(transition.clone()));
        }
    }

    /// Gives them a record of another kind.
    pub(super) fn put(&mut self, record: &Record) {
        let kinds = Interest::of(record);
        if self.want(kinds) {
            self.give(kinds, record);
        }
    }

    fn give(&mut self, kinds: Interest, record: &Record) {
        self.keep(|subscriber| subscriber.take(record), kinds);
    }

    /// Keeps those with an interest in these kinds for which this holds, and all others.
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
            // Nobody pays for what nobody wants any more.
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
