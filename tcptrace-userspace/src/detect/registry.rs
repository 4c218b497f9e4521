//! All detectors.

use super::{
    Detector, Options, accept_queue::AcceptQueue, address_in_use::AddressInUse, close_wait::CloseWait,
    connects::Connects, listeners::Listeners, phantom::Phantom, resets::Resets, stuck::Stuck,
    syn_flood::SynFlood, time_wait::TimeWait,
};

/// What a detector rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Looks at the host's sockets.
    Samples,
    /// The stream of transitions.
    Transitions,
    /// Half-open connections.
    HalfOpen,
}

/// A detector.
pub struct Entry {
    /// The kinds of findings that it makes.
    pub ids: &'static [&'static str],
    /// What it rests on.
    pub needs: Needs,
    pub(super) make: fn(&Options) -> Box<dyn Detector>,
}

const fn entry(ids: &'static [&'static str], needs: Needs, make: fn(&Options) -> Box<dyn Detector>) -> Entry {
    Entry { ids, needs, make }
}

/// Every detector, once.
pub const REGISTRY: [Entry; 10] = [
    entry(&["syn-flood"], Needs::HalfOpen, |options| Box::new(SynFlood::new(options))),
    entry(&["accept-queue-overflow"], Needs::Samples, |options| Box::new(AcceptQueue::new(options))),
    entry(
        &["unreachable-destination", "connection-refused", "outbound-scan"],
        Needs::Transitions,
        |options| Box::new(Connects::new(options)),
    ),
    entry(&["phantom-established"], Needs::Samples, |options| Box::new(Phantom::new(options))),
    entry(&["close-wait-leak"], Needs::Samples, |options| Box::new(CloseWait::new(options))),
    entry(
        &["fin-wait1-stuck", "fin-wait2-stuck", "last-ack-stuck", "closing-pileup"],
        Needs::Samples,
        |options| Box::new(Stuck::new(options)),
    ),
    entry(&["time-wait-exhaustion"], Needs::Samples, |options| Box::new(TimeWait::new(options))),
    entry(&["address-in-use"], Needs::Transitions, |_| Box::new(AddressInUse::default())),
    entry(&["unexpected-listener"], Needs::Samples, |options| Box::new(Listeners::new(options))),
    entry(&["reset-storm"], Needs::Transitions, |options| Box::new(Resets::new(options))),
];
