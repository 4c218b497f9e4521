//! A destination, and the outcomes of attempts at it.

use std::net::IpAddr;

use super::outcomes::Outcomes;
use crate::{
    diagnosis::detect::{Sample, Seen, culprits::Culprits, scoped::ScopedEndpoint},
    model::{event::Event, who::Who},
};

use super::place::{Place, is_bound};

/// Refused attempts by whether a socket listened there before, as far as the scans show. Other refused attempts are not
/// counted here.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Then {
    /// There was a listener before, and it is still there.
    pub(super) listening: u64,
    /// No present listener was there before, although there was a scan before the attempts.
    pub(super) not_listening: u64,
}

/// The state of a destination.
#[derive(Default)]
pub(super) struct Destination {
    pub(super) outcomes: Outcomes,
    pub(super) culprits: Culprits,
    /// The outcomes since the last scan.
    recent: Outcomes,
    /// In the last interval between scans that had attempts, an attempt connected and none failed.
    settled: bool,
    /// The time of the first refused attempt since the last scan.
    recent_refusal_ns: Option<u64>,
    /// Whether a socket listened there when attempts were refused.
    then: Then,
    /// The source of the attempts: namespace, and local address where one was chosen.
    netns: Option<u32>,
    laddr: Option<IpAddr>,
    place: Option<Place>,
}

impl Destination {
    pub(super) fn add(&mut self, event: &Event, outcome: &Outcomes, who: Option<&Who>) {
        self.outcomes.add(outcome);
        self.recent.add(outcome);
        if outcome.refused() > 0 {
            let first = self.recent_refusal_ns.unwrap_or(event.ktime_ns);
            self.recent_refusal_ns = Some(first.min(event.ktime_ns));
        }
        self.culprits.within(event.flow.netns);
        if let Some(who) = who {
            self.culprits.owner(who);
        }
        if outcome.failed() > 0 {
            self.is_tried_from(event.flow.netns, event.flow.local.address);
        }
    }

    /// Records the source of an attempt. The greatest one is kept, so that the order of attempts does not matter.
    fn is_tried_from(&mut self, netns: Option<u32>, laddr: IpAddr) {
        self.netns = self.netns.max(netns);
        self.laddr = self.laddr.max((!laddr.is_unspecified()).then_some(laddr));
    }

    /// Takes a scan: whether attempts connect by now, and the facts of the host about the destination. `before_ns`: the end
    /// of the scan before.
    pub(super) fn note(
        &mut self,
        sample: &Sample,
        before_ns: Option<u64>,
        to: ScopedEndpoint,
        waiting: &[&Seen],
        many: u64,
    ) {
        if let Some(first_ns) = self.recent_refusal_ns.take() {
            self.note_refusals(sample, before_ns, to, first_ns);
        }
        if self.recent != Outcomes::default() {
            self.settled = self.recent.connected > 0 && self.recent.failed() == 0;
        }
        self.recent = Outcomes::default();
        for seen in waiting {
            self.is_tried_from(seen.socket.flow.netns, seen.socket.flow.local.address);
        }
        let failed = self.outcomes.failed() + waiting.len() as u64;
        if failed >= many {
            self.place = Some(Place::of(sample, self.netns, self.laddr, to));
        }
    }

    /// Records whether a socket listened when the attempts since the last scan were refused. The first of them was at
    /// `first_ns`.
    fn note_refusals(&mut self, sample: &Sample, before_ns: Option<u64>, to: ScopedEndpoint, first_ns: u64) {
        let ago_ns = sample.ktime_ns.saturating_sub(first_ns);
        let listeners = sample.listeners_of_destination(self.netns, to.end);
        let was_there = |seen: &&Seen| {
            !is_bound(&seen.socket) && seen.socket.age_at_least_ns.is_some_and(|age_ns| age_ns >= ago_ns)
        };
        if listeners.iter().any(was_there) {
            self.then.listening += self.recent.refused();
        } else if before_ns.is_some_and(|before_ns| before_ns <= first_ns) {
            self.then.not_listening += self.recent.refused();
        }
    }

    /// Whether a socket listened there when attempts were refused.
    pub(super) fn then(&self) -> Then {
        self.then
    }

    /// Whether attempts there connect by now.
    pub(super) fn is_settled(&self) -> bool {
        self.settled && self.recent.failed() == 0
    }

    /// The namespace from which failed attempts come.
    pub(super) fn netns(&self) -> Option<u32> {
        self.netns
    }

    pub(super) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }
}
