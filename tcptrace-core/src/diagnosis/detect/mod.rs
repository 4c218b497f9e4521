//! From the inputs of a trace to faults: what is wrong, how sure that is, who causes it, and what to do.
//!
//! A detector is a file here and an entry in the [`REGISTRY`]. It is pure: events and scans of the host go in, in the order
//! of time, and findings come out. Time is that of the input, never the clock's. A detector does not judge whether its input
//! was complete.

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

/// Detects one kind of fault. A detector implements only the inputs that it needs.
pub trait Detector: Send {
    /// Takes a transition.
    fn transition(&mut self, _transition: &Transition) {}

    /// Takes a change of a half-open connection.
    fn half_open(&mut self, _change: &Change) {}

    /// Takes a scan of the host.
    fn sample(&mut self, _sample: &Sample) {}

    /// How often its tables were full, so that its findings may be too few.
    fn left_out(&self) -> u64 {
        0
    }

    /// Its present findings, each about another subject.
    fn findings(&self) -> Vec<Finding>;
}
