//! The endings of connections at one end, counted.

use super::{
    ends::End,
    loss::Talk,
    outcome::{Kind, Outcome, Story},
};
use crate::{
    diagnosis::detect::{culprits::Culprits, rank::Rank},
    model::{flow::Endpoint, hash::HashMap, who::Who},
};

/// The connections of one end that have ended.
#[derive(Default)]
pub(super) struct Endings {
    outcomes: HashMap<Outcome, u64>,
    groups: HashMap<Group, Box<Part>>,
    /// The network namespace of the last client that the kernel may have refused.
    pub(super) client_netns: Option<u32>,
    /// The listeners there that may have refused it.
    pub(super) overflow: Option<Overflow>,
}

/// The listeners at an end, in a namespace whose kernel resets clients for which a full queue has no capacity
/// (`tcp_abort_on_overflow`).
#[derive(Clone, Default)]
pub(super) struct Overflow {
    pub(super) netns: Option<u32>,
    pub(super) cookies: Vec<u64>,
    pub(super) owners: Vec<Who>,
}

/// The resets that a part covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Group {
    /// All resets.
    Any,
    /// Resets with a loss of this kind.
    Lost(Kind),
    /// Resets of clients that the kernel may have refused.
    MayBeRefused,
}

/// The processes and peers that have a part in resets, and the causes.
#[derive(Default)]
pub(super) struct Part {
    pub(super) causes: Rank<String>,
    /// The processes that sent resets, and those that had closed before.
    pub(super) senders: Culprits,
    /// The processes whose connections were reset.
    pub(super) hit: Culprits,
}

/// The endings of connections at one end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Connections that have ended.
    pub(super) all: u64,
    /// Connections of `all` without any exchange or loss.
    pub(super) mute: u64,
    pub(super) reset: u64,
    pub(super) here: u64,
    /// Resets that lost data; the next two fields count the other kinds of loss.
    pub(super) data: u64,
    pub(super) unanswered: u64,
    pub(super) refused: u64,
    /// Resets with a loss that this host sent.
    pub(super) lost_here: u64,
    pub(super) unknown: u64,
}

impl Counts {
    pub(super) fn lost(&self) -> u64 {
        self.data + self.unanswered + self.refused
    }

    /// The most frequent kind of loss; `None` where nothing was lost.
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

    /// Takes back the outcome that one end alone showed.
    pub(super) fn take_back(&mut self, outcome: Outcome) {
        if let Some(count) = self.outcomes.get_mut(&outcome) {
            *count = count.saturating_sub(1);
        }
    }

    /// Records who has a part in a reset.
    pub(super) fn note(&mut self, group: Group, by: impl FnOnce(&mut Part)) {
        by(self.groups.entry(group).or_default());
    }

    pub(super) fn part(&self, group: Group) -> Option<&Part> {
        self.groups.get(&group).map(Box::as_ref)
    }

    /// Connections whose client the kernel may have refused. [`Self::counts`] counts as many of them as refused as the
    /// kernel has sent such resets.
    pub(super) fn may_be_refused(&self) -> u64 {
        self.sum(|outcome| outcome.may_be_refused)
    }

    pub(super) fn has_resets(&self) -> bool {
        self.sum(|outcome| outcome.story.is_some()) > 0
    }

    fn sum(&self, is_one: impl Fn(&Outcome) -> bool) -> u64 {
        self.outcomes.iter().filter(|(outcome, _)| is_one(outcome)).map(|(_, count)| count).sum()
    }

    /// Whether the connections there are one-way: some end in good order without an answer, and none has an answer. Logs and
    /// metrics are sent so.
    fn is_one_way(&self) -> bool {
        self.sum(|outcome| outcome.talk == Talk::Answered) == 0
            && self.sum(|outcome| outcome.talk == Talk::Unanswered && outcome.story.is_none()) > 0
    }

    /// The counts of endings. `refusals`: resets that the kernel has sent because of a full queue.
    pub(super) fn counts(&self, refusals: u64) -> Counts {
        let one_way = self.is_one_way();
        let mut counts = Counts::default();
        let mut refusals = refusals;
        // Clients that have sent a request come first.
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

    /// The most frequent story of resets with a loss of this kind; where `kind` is `None`, of all resets.
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
    /// Records what one end shows of a reset: its cause, its owner, and whether this end sent it.
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
