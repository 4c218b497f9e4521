//! A change of a socket's state, as every stage after the tracker knows it.

use std::sync::Arc;

use crate::model::{
    close::{Cause, Closing},
    event::Event,
    owner::Owner,
    state::State,
};

/// A transition with what only the history of the socket shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The event of the kernel.
    pub event: Event,
    /// Nanoseconds in the old state; `None` when its beginning was not seen.
    pub in_old_state_ns: Option<u64>,
    /// Lower limit of the nanoseconds in the old state, where its beginning was not seen. The socket was in that state at
    /// the first dump of the trace, or what the kernel keeps of the socket shows a longer time.
    pub at_least_ns: Option<u64>,
    /// The process that owns the socket, if certain.
    pub owner: Option<Arc<Owner>>,
    /// The source of the transition.
    pub origin: Origin,
    /// How the connection ended, at CLOSE.
    pub closing: Option<Box<Closing>>,
}

impl Transition {
    /// A transition with nothing but the event of the kernel.
    pub const fn of(event: Event) -> Self {
        Self {
            event,
            in_old_state_ns: None,
            at_least_ns: None,
            owner: None,
            origin: Origin::Observed,
            closing: None,
        }
    }

    /// Whether a connection ends with this transition. The time as a timewait socket afterwards, in TIME_WAIT for instance,
    /// is no part of the connection's life. A listener is no connection.
    pub fn ends_connection(&self) -> bool {
        self.event.new_state == State::CLOSE
            && self.event.old_state != State::LISTEN
            && self.origin == Origin::Observed
            && self.closing.as_ref().and_then(|closing| closing.cause) != Some(Cause::SecondChild)
    }

    /// Segments sent again over the connection's life, by the socket or as counted one by one; `None` when neither is known.
    pub fn retransmits(&self) -> Option<u32> {
        let counted = self.closing.as_ref().and_then(|closing| closing.retransmits);
        self.event.metrics.map(|metrics| metrics.retransmits).or(counted)
    }
}

/// The source of a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The kernel's event.
    Observed,
    /// A conclusion from what was observed: the kernel reports nothing of timewait sockets, such as those in TIME_WAIT.
    Inferred,
}

impl Origin {
    /// Its name in JSON and CSV.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Inferred => "inferred",
        }
    }
}
