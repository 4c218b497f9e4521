//! Half-open connections of a server: the SYN has come, the final ACK has not. The kernel keeps them as request sockets,
//! which its event for transitions does not report. `docs/half-open.md` describes what is seen here, and what is not.
//!
//! A SYN is an [`Event`], and so is a retransmitted SYN-ACK. The end is no event. A connection that completes has a child,
//! which has a transition. A connection that ends otherwise is missing from the next
//! [`Poll`](crate::model::half_open::Poll). [`HalfOpens`] combines these sources.

mod event;
mod open;
mod stage;
mod timer;
mod tracker;

#[cfg(test)]
mod tests;

pub use event::{Event, EventKind, decode, netns_cookie};
pub(crate) use stage::Side;
pub use tracker::HalfOpens;
