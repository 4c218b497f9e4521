//! From what was seen to the fault: what is wrong, how sure that is, who causes it, and what to do.
//!
//! A detector is a file here and an entry in the [`REGISTRY`]. It is pure: what happened and how the host was go in, in
//! the order of time, and findings come out. Time is that of its input, never the clock's. Whether its input was complete
//! is not for a detector to judge.

mod accept_queue;
mod address_in_use;
mod ages;
mod bounded;
mod close_wait;
mod connects;
mod culprits;
mod descriptors;
mod detectors;
mod growth;
mod hanging;
mod holding;
mod index;
mod listeners;
mod owes;
mod phantom;
mod ports;
mod rank;
mod registry;
mod resets;
mod roots;
mod sample;
mod scoped;
mod stalled;
mod stuck;
mod syn_flood;
mod thresholds;

pub use ages::Ages;
pub use detectors::{Detectors, Options};
pub use index::Lookup;
pub use listeners::Expected;
pub use registry::{Entry, REGISTRY, Source, rests_on};
pub use sample::{Sample, Seen};
pub use thresholds::Thresholds;

use crate::model::{finding::Finding, half_open::Change, transition::Transition};

/// Looks for one kind of fault. What it does not rest on, it need not take.
pub trait Detector: Send {
    /// Takes a transition.
    fn transition(&mut self, _transition: &Transition) {}

    /// Takes what happened to a half-open connection.
    fn half_open(&mut self, _change: &Change) {}

    /// Takes how the host was at one moment.
    fn sample(&mut self, _sample: &Sample) {}

    /// How often there was no room to tell things apart, so that what it says may be too little.
    fn left_out(&self) -> u64 {
        0
    }

    /// Its findings by now, each about another subject.
    fn findings(&self) -> Vec<Finding>;
}
