//! A destination, and how attempts there have ended.

use std::net::IpAddr;

use super::outcomes::Outcomes;
use crate::{
    detect::{Sample, Seen, Who, culprits::Culprits, endpoint::Endpoint},
    event::Event,
};

use super::place::Place;

/// What is kept of a destination.
#[derive(Default)]
pub(super) struct Destination {
    pub(super) outcomes: Outcomes,
    pub(super) culprits: Culprits,
    /// Since the last scan.
    recent: Outcomes,
    /// Between the last scans in which anything was tried, it connected, and nothing failed.
    settled: bool,
    /// Where the attempts come from: namespace, and local address where one was chosen.
    netns: Option<u32>,
    laddr: Option<IpAddr>,
    place: Option<Place>,
}

impl Destination {
    pub(super) fn add(&mut self, event: &Event, outcome: &Outcomes, who: Option<&Who>) {
        self.outcomes.add(outcome);
        self.recent.add(outcome);
        self.culprits.within(event.netns);
        if let Some(who) = who {
            self.culprits.owner(who);
        }
        if outcome.failed() > 0 {
            self.is_tried_from(event.netns, event.laddr);
        }
    }

    /// The greatest, so that the order in which they came does not matter.
    fn is_tried_from(&mut self, netns: Option<u32>, laddr: IpAddr) {
        self.netns = self.netns.max(netns);
        self.laddr = self.laddr.max((!laddr.is_unspecified()).then_some(laddr));
    }

    /// At a scan: notes whether it connects by now, and what the host tells of it.
    pub(super) fn note(&mut self, sample: &Sample, to: Endpoint, waiting: &[&Seen], many: u64) {
        if self.recent != Outcomes::default() {
            self.settled = self.recent.connected > 0 && self.recent.failed() == 0;
        }
        self.recent = Outcomes::default();
        for seen in waiting {
            self.is_tried_from(seen.socket.netns, seen.socket.laddr);
        }
        let failed = self.outcomes.failed() + waiting.len() as u64;
        if failed >= many {
            self.place = Some(Place::of(sample, self.netns, self.laddr, to));
        }
    }

    /// Whether attempts there connect by now.
    pub(super) fn is_settled(&self) -> bool {
        self.settled && self.recent.failed() == 0
    }

    /// Where failed attempts come from.
    pub(super) fn netns(&self) -> Option<u32> {
        self.netns
    }

    pub(super) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }
}
