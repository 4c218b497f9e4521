//! All detectors.

use super::{
    Detector, Options, accept_queue::AcceptQueue, address_in_use::AddressInUse, close_wait::CloseWait,
    connects::Connects, listeners::Listeners, phantom::Phantom, ports::LocalPorts, resets::Resets,
    stalled::Stalled, stuck::Stuck, syn_flood::SynFlood,
};

/// The sources of detectors. The findings that rest on an incomplete source are incomplete as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Transitions.
    Transitions,
    /// Half-open connections.
    HalfOpen,
    /// Scans of all sockets, with counters and settings.
    Scans,
}

/// A detector.
pub struct Entry {
    /// The kinds of findings that the detector makes.
    pub ids: &'static [&'static str],
    /// The sources that these findings rest on.
    pub rests_on: &'static [Source],
    pub(super) make: fn(&Options) -> Box<dyn Detector>,
}

const fn entry(
    ids: &'static [&'static str],
    rests_on: &'static [Source],
    make: fn(&Options) -> Box<dyn Detector>,
) -> Entry {
    Entry { ids, rests_on, make }
}

/// The sources of a kind of finding.
pub fn rests_on(id: &str) -> &'static [Source] {
    REGISTRY.iter().find(|entry| entry.ids.contains(&id)).map_or(&[], |entry| entry.rests_on)
}

const SCANS: &[Source] = &[Source::Scans];
const BOTH: &[Source] = &[Source::Transitions, Source::Scans];
const HALF_OPEN: &[Source] = &[Source::HalfOpen, Source::Scans];

/// Every detector, once.
pub const REGISTRY: [Entry; 11] = [
    entry(&["syn-flood"], HALF_OPEN, |options| Box::new(SynFlood::new(options))),
    entry(&["accept-queue-overflow", "nobody-accepts"], BOTH, |options| Box::new(AcceptQueue::new(options))),
    entry(&["stalled"], SCANS, |options| Box::new(Stalled::new(options))),
    entry(&["unreachable-destination", "connection-refused", "outbound-scan"], BOTH, |options| {
        Box::new(Connects::new(options))
    }),
    entry(&["phantom-established"], SCANS, |options| Box::new(Phantom::new(options))),
    entry(&["close-wait-leak"], SCANS, |options| Box::new(CloseWait::new(options))),
    entry(&["fin-wait1-stuck", "fin-wait2-stuck", "last-ack-stuck", "closing-pileup"], SCANS, |options| {
        Box::new(Stuck::new(options))
    }),
    entry(&["port-exhaustion", "time-wait-exhaustion"], BOTH, |options| Box::new(LocalPorts::new(options))),
    entry(&["address-in-use"], BOTH, |_| Box::new(AddressInUse::default())),
    entry(&["unexpected-listener"], SCANS, |options| Box::new(Listeners::new(options))),
    entry(&["reset-storm"], BOTH, |options| Box::new(Resets::new(options))),
];
