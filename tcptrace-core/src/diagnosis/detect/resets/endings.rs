//! How the connections of one end have ended, counted.

use super::{
    ends::End,
    loss::Talk,
    outcome::{Kind, Outcome, Story},
};
use crate::{
    diagnosis::detect::{culprits::Culprits, rank::Rank},
    model::{flow::Endpoint, hash::HashMap, who::Who},
};

/// Connections of one end that have ended.
#[derive(Default)]
pub(super) struct Endings {
    outcomes: HashMap<Outcome, u64>,
    groups: HashMap<Group, Box<Part>>,
    /// Of the last client that the kernel may have refused.
    pub(super) client_netns: Option<u32>,
    /// The listener there that may have refused it.
    pub(super) overflow: Option<Overflow>,
}

/// A listener in a namespace whose kernel resets whom a full queue has no room for (`tcp_abort_on_overflow`).
#[derive(Clone, Default)]
pub(super) struct Overflow {
    pub(super) netns: Option<u32>,
    pub(super) cookies: Vec<u64>,
    pub(super) owners: Vec<Who>,
}

/// Which resets a part is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Group {
    /// All of them.
    Any,
    /// Those that lost something.
    Lost(Kind),
    /// Those of clients whom the kernel may have refused.
    MayBeRefused,
}

/// The processes and peers that have a part in resets, and the causes.
#[derive(Default)]
pub(super) struct Part {
    pub(super) causes: Rank<String>,
    /// The senders, and those that had closed before.
    pub(super) senders: Culprits,
    /// The owners of these connections.
    pub(super) hit: Culprits,
}

/// The endings of connections at one end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Connections that have ended.
    pub(super) all: u64,
    /// Of these, those on which nothing was said, and nothing lost.
    pub(super) mute: u64,
    pub(super) reset: u64,
    pub(super) here: u64,
    /// Of these that lost something.
    pub(super) data: u64,
    pub(super) unanswered: u64,
    pub(super) refused: u64,
    /// Of those that lost something, sent by this host.
    pub(super) lost_here: u64,
    pub(super) unknown: u64,
}

impl Counts {
    pub(super) fn lost(&self) -> u64 {
        self.data + self.unanswered + self.refused
    }

    /// The kind of the most; `None` where nothing was lost.
    pub(super) fn most(&self) -> Option<Kind> {
        let kinds =
            [(self.unanswered, Kind::Unanswered), (self.data, Kind::Data), (self.refused, Kind::Refused)];
        kinds.into_iter().filter(|(count, _)| *count > 0).max().map(|(_, kind)| kind)
    }
}

impl Endings {
    pub(super) fn add(&mut self, outcome: Outcome) {
        *self.outcomes.entry(outcome).or_default() += 1;
    }

    /// Takes back what one end alone has told.
    pub(super) fn take_back(&mut self, outcome: Outcome) {
        if let Some(count) = self.outcomes.get_mut(&outcome) {
            *count = count.saturating_sub(1);
        }
    }

    /// Notes who has a part in a reset.
    pub(super) fn note(&mut self, group: Group, by: impl FnOnce(&mut Part)) {
        by(self.groups.entry(group).or_default());
    }

    pub(super) fn part(&self, group: Group) -> Option<&Part> {
        self.groups.get(&group).map(Box::as_ref)
    }

    /// Of the clients whom the kernel may have refused, so many were: as many as it has sent such resets.
    pub(super) fn may_be_refused(&self) -> u64 {
        self.sum(|outcome| outcome.may_be_refused)
    }

    pub(super) fn has_resets(&self) -> bool {
        self.sum(|outcome| outcome.story.is_some()) > 0
    }

    fn sum(&self, is_one: impl Fn(&Outcome) -> bool) -> u64 {
        self.outcomes.iter().filter(|(outcome, _)| is_one(outcome)).map(|(_, count)| count).sum()
    }

    /// Whether connections end in good order there without an answer, and none has one: logs and metrics are sent so.
    fn is_one_way(&self) -> bool {
        self.sum(|outcome| outcome.talk == Talk::Answered) == 0
            && self.sum(|outcome| outcome.talk == Talk::Unanswered && outcome.story.is_none()) > 0
    }

    /// `refusals`: resets that the kernel has sent for a full queue.
    pub(super) fn counts(&self, refusals: u64) -> Counts {
        let one_way = self.is_one_way();
        let mut counts = Counts::default();
        let mut refusals = refusals;
        // Those that have asked for something first.
        let mut outcomes: Vec<_> = self.outcomes.iter().collect();
        outcomes.sort_by_key(|(outcome, _)| std::cmp::Reverse((outcome.talk, outcome.loss)));
        for (outcome, &count) in outcomes {
            counts.all += count;
            counts.mute += if outcome.is_mute() { count } else { 0 };
            let Some(story) = outcome.story else { continue };
            let by_this_host = if story == Story::Peer { 0 } else { count };
            counts.reset += count;
            counts.here += by_this_host;
            let refused = if outcome.may_be_refused { count.min(refusals) } else { 0 };
            refusals -= refused;
            counts.refused += refused;
            counts.mute -= if outcome.is_mute() { refused } else { 0 };
            counts.lost_here += refused;
            let left = count - refused;
            let lost = match outcome.lost(one_way) {
                Some(Kind::Data) => &mut counts.data,
                Some(Kind::Unanswered) => &mut counts.unanswered,
                Some(Kind::Refused) => &mut counts.refused,
                None => {
                    counts.unknown += if outcome.is_unknown() { left } else { 0 };
                    continue;
                }
            };
            *lost += left;
            counts.lost_here += by_this_host.min(left);
        }
        counts
    }

    /// The story of the most of those that lost something, or, where `kind` is none, of all.
    pub(super) fn story(&self, kind: Option<Kind>) -> Option<Story> {
        let mut stories: HashMap<Story, u64> = HashMap::default();
        for (outcome, count) in &self.outcomes {
            let may_be_it = kind == Some(Kind::Refused) && outcome.may_be_refused;
            let counts = kind.is_none() || outcome.lost(false) == kind || may_be_it;
            if let Some(story) = outcome.story.filter(|_| counts && *count > 0) {
                *stories.entry(story).or_default() += count;
            }
        }
        stories.into_iter().max_by_key(|(story, count)| (*count, *story)).map(|(story, _)| story)
    }

    /// Whether the end is a server of this host.
    pub(super) fn is_served_here(&self) -> bool {
        self.sum(|outcome| outcome.at_server) > 0
    }
}

impl Part {
    /// Notes what one end tells of a reset: cause, whose it was, and whether it has sent it.
    pub(super) fn add(&mut self, end: &End, netns: Option<u32>, peer: Endpoint) {
        let Some(story) = end.outcome.story else { return };
        self.causes.add(end.text.clone());
        let culprits = if story.is_sent() { &mut self.senders } else { &mut self.hit };
        culprits.within(netns);
        culprits.peer(peer.address, (!end.at_server).then_some(peer.port));
        if let Some(owner) = &end.owner {
            culprits.owner(&Who::of_owner(owner));
        }
    }
}
