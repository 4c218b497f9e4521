//! `reset-storm`: many connections end by a reset.
//!
//! A reset is not a loss: health checks, proxies and load generators reset connections that they no longer need. The loss
//! counts: data, a request that waits for its answer, or a client that is not accepted yet (RFC 9293, 3.5.2). Where both
//! ends are on this host, they are one connection, and one of the ends, or the kernel, has reset it.

mod endings;
mod ends;
mod findings;
mod loss;
mod outcome;

use std::sync::Arc;

use super::{
    Detector, Options, Sample, bounded::Bounded, culprits::share, growth::Growth, index::Addresses,
    scoped::ScopedEndpoint, thresholds,
};
use crate::model::{
    close::{Cause, Closing, Role},
    event::Event,
    finding::Finding,
    flow::Flow,
    state::State,
    text::Escaped,
    transition::Transition,
    who::Who,
};
use endings::{Endings, Group, Overflow};
use ends::{End, OpenEnds};
use findings::{COUNTERS, EMBRYONIC, Storm};
use outcome::{Outcome, Story};

pub(super) struct Resets {
    thresholds: thresholds::ResetStorm,
    /// Endings by the end on which a server listens, on this host or elsewhere.
    endpoints: Bounded<ScopedEndpoint, Endings>,
    open_ends: OpenEnds,
    growth: Growth,
    /// The addresses of this host, at the last scan.
    addresses: Arc<Addresses>,
}

impl Resets {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            thresholds: options.thresholds.reset_storm,
            endpoints: Bounded::default(),
            open_ends: OpenEnds::default(),
            growth: Growth::default(),
            addresses: Arc::default(),
        }
    }

    fn is_many(&self, count: u64, all: u64) -> bool {
        count >= self.thresholds.count && share(count, all) >= self.thresholds.share
    }

    fn finding(&self, endpoint: ScopedEndpoint, endings: &Endings) -> Option<Finding> {
        let refusals =
            endings.overflow.as_ref().map_or(0, |overflow| self.growth.of(overflow.netns, EMBRYONIC).by());
        let counts = endings.counts(refusals);
        let storm = Storm { endpoint, endings, counts };
        // The share is that of connections with an exchange: checks that a port is open hide no loss.
        if self.is_many(counts.lost(), counts.all - counts.mute) {
            return Some(storm.with_losses(self));
        }
        self.is_many(counts.reset, counts.all).then(|| storm.without_losses(self))
    }
}

/// The end of a connection, by the evidence of one side.
fn end_of(transition: &Transition, closing: &Closing, peer_is_here: bool) -> End {
    let outcome = Outcome::of(transition, closing, peer_is_here);
    End {
        at_server: closing.role == Some(Role::Server),
        outcome,
        cause: closing.cause,
        // Most connections end without a reset, and need no text.
        text: outcome.story.map(|_| why(closing, transition.event.old_state)).unwrap_or_default(),
        owner: transition.owner.clone(),
    }
}

/// Cause, state and reason of a reset.
fn why(closing: &Closing, state: State) -> String {
    let name = closing.cause.map_or("unknown", Cause::name);
    match closing.reset_reason.as_deref() {
        Some(reason) => format!("{name} in {state}, {}", Escaped(reason.as_bytes())),
        None => format!("{name} in {state}"),
    }
}

impl Detector for Resets {
    fn transition(&mut self, transition: &Transition) {
        if !transition.ends_connection() {
            return;
        }
        let Some(closing) = &transition.closing else { return };
        let Event { flow: Flow { netns, local, remote }, old_state, .. } = transition.event;
        // The tracker has seen the peer's socket. An address only shows where the peer may be.
        let peer_is_here = closing.peer_is_here || self.addresses.is_here(netns, remote.address);
        let end = end_of(transition, closing, peer_is_here);
        // A connection that was refused never began.
        if old_state == State::SYN_SENT && end.outcome.story.is_none() {
            return;
        }
        let (server, client) = if end.at_server { (local, remote) } else { (remote, local) };
        let endpoint = ScopedEndpoint::new(netns, server);
        let Some(endings) = self.endpoints.entry(endpoint) else { return };
        // The ends themselves decide whether they are of one connection.
        let may_be_pair =
            peer_is_here || self.addresses.may_be_here(remote.address) || self.addresses.is_empty();
        let other = if may_be_pair { self.open_ends.other((endpoint, client), &end) } else { None };
        let outcome = match &other {
            Some(other) => {
                endings.take_back(other.outcome);
                end.outcome.with(other.outcome, [end.cause, other.cause])
            }
            None => end.outcome,
        };
        endings.add(outcome);
        if outcome.story.is_none() {
            return;
        }
        if outcome.may_be_refused {
            endings.client_netns = netns;
        }
        let peers = [remote, local];
        let lost = outcome.lost(false).map(Group::Lost);
        let had = other.as_ref().and_then(|other| other.outcome.lost(false)).map(Group::Lost);
        let may_be_refused = outcome.may_be_refused.then_some(Group::MayBeRefused);
        for group in [Some(Group::Any), lost, may_be_refused].into_iter().flatten() {
            endings.note(group, |part| {
                part.add(&end, netns, peers[0]);
                let Some(other) = &other else { return };
                if group != Group::Any && had != Some(group) {
                    part.add(other, netns, peers[1]);
                }
                // The cause of the end without a reset of its own, such as a time limit of the kernel.
                if outcome.story == Some(Story::Unexplained) {
                    let silent = if end.outcome.story.is_none() { &end } else { other };
                    part.causes.add(silent.cause.map_or("unknown", Cause::name).to_owned());
                }
                // A process that had closed before, or ended, did not send the reset itself.
                if matches!(outcome.story, Some(Story::ClosedFirst | Story::Exited)) {
                    let closed = if end.outcome.story.is_none() { &end } else { other };
                    if let Some(owner) = closed.owner.as_ref().filter(|_| closed.outcome.story.is_none()) {
                        part.senders.within(netns);
                        part.senders.owner(&Who::of_owner(owner));
                    }
                }
            });
        }
    }

    fn sample(&mut self, sample: &Sample) {
        self.addresses = sample.addresses();
        for name in COUNTERS {
            self.growth.note(sample, name);
        }
        self.endpoints.make_room(|_, endings| endings.has_resets());
        self.open_ends.forget_old();
        for (endpoint, endings) in self.endpoints.iter_mut() {
            if endings.may_be_refused() == 0 {
                continue;
            }
            let listeners = sample.listeners_of_destination(endings.client_netns, endpoint.end);
            let Some(netns) = listeners.first().map(|seen| seen.socket.flow.netns) else { continue };
            let limits = sample.namespaces.get(&netns).map(|namespace| namespace.limits);
            if limits.and_then(|limits| limits.abort_on_overflow) == Some(true) {
                let cookies = listeners.iter().map(|seen| seen.socket.cookie).collect();
                let owners = listeners.iter().flat_map(|seen| seen.owners.iter().cloned()).collect();
                endings.overflow = Some(Overflow { netns, cookies, owners });
            }
        }
    }

    fn left_out(&self) -> u64 {
        self.endpoints.left_out()
    }

    fn findings(&self) -> Vec<Finding> {
        let storms = self.endpoints.iter().filter_map(|(endpoint, endings)| self.finding(*endpoint, endings));
        storms.map(|finding| finding.left_out(self.left_out())).collect()
    }
}
