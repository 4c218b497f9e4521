//! Half-open connections of a server: SYN received, final ACK not yet. The kernel keeps them as request sockets, about
//! which its event for transitions is silent; `docs/half-open.md` says what is seen here, and what is not.
//!
//! A SYN is an [`Event`], and so is a SYN-ACK that is sent again. The end is no event: the child that a connection
//! completes with is a transition, and what ends otherwise is gone from a [`Poll`](crate::model::half_open::Poll). [`HalfOpens`] puts them together.

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
