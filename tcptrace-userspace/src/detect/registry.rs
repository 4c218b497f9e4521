//! All detectors.

use super::{
    Detector, Options, accept_queue::AcceptQueue, address_in_use::AddressInUse, close_wait::CloseWait,
    connects::Connects, listeners::Listeners, phantom::Phantom, resets::Resets, stuck::Stuck,
    syn_flood::SynFlood, time_wait::TimeWait,
};

/// A detector.
pub struct Entry {
    /// The kinds of findings that it makes.
    pub ids: &'static [&'static str],
    pub(super) make: fn(&Options) -> Box<dyn Detector>,
}

const fn entry(ids: &'static [&'static str], make: fn(&Options) -> Box<dyn Detector>) -> Entry {
    Entry { ids, make }
}

/// Every detector, once.
pub const REGISTRY: [Entry; 10] = [
    entry(&["syn-flood"], |options| Box::new(SynFlood::new(options))),
    entry(&["accept-queue-overflow"], |options| Box::new(AcceptQueue::new(options))),
    entry(&["unreachable-destination", "connection-refused", "outbound-scan"], |options| {
        Box::new(Connects::new(options))
    }),
    entry(&["phantom-established"], |options| Box::new(Phantom::new(options))),
    entry(&["close-wait-leak"], |options| Box::new(CloseWait::new(options))),
    entry(&["fin-wait1-stuck", "fin-wait2-stuck", "last-ack-stuck", "closing-pileup"], |options| {
        Box::new(Stuck::new(options))
    }),
    entry(&["time-wait-exhaustion"], |options| Box::new(TimeWait::new(options))),
    entry(&["address-in-use"], |_| Box::new(AddressInUse::default())),
    entry(&["unexpected-listener"], |options| Box::new(Listeners::new(options))),
    entry(&["reset-storm"], |options| Box::new(Resets::new(options))),
];
