//! What detectors are shown, one thing after the other.

use tcptrace_core::{
    diagnosis::detect::{Detectors, Sample},
    model::{half_open::Change, transition::Transition},
};

/// One of them.
#[derive(Clone, Debug)]
pub(crate) enum Shown {
    Transition(Transition),
    HalfOpen(Change),
    Sample(Box<Sample>),
}

/// Who takes them.
pub(crate) trait Show {
    fn show(&mut self, shown: &Shown);
}

impl Show for Detectors {
    fn show(&mut self, shown: &Shown) {
        match shown {
            Shown::Transition(transition) => self.transition(transition),
            Shown::HalfOpen(change) => self.half_open(change),
            Shown::Sample(sample) => self.sample(sample),
        }
    }
}
