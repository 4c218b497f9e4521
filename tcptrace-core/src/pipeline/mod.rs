//! The pure half of a trace: it turns inputs into records. It uses no clock, no kernel and no thread, so the same inputs,
//! live or from a capture, always give the same records.
//!
//! [`Core`] takes the inputs. It sorts the records of all CPUs by their time and [decodes](decode) them. [`tracker`] and
//! [`half_open`] make transitions and half-open connections of the records. [`Outgoing`] passes transitions and half-open
//! connections to the detectors and to the [`Sink`].

mod account;
mod core;
pub mod decode;
mod degraded;
pub mod half_open;
mod options;
mod order;
mod outgoing;
mod peek;
mod resolver;
mod sink;
mod stage;
mod subscriber;
mod tail;
pub mod tracker;

pub use core::{Core, PATIENCE_NS};
pub use options::Options;
pub use outgoing::{Chunk, Outgoing, Written};
pub use resolver::{Extent, Question, ResolverCache};
pub use sink::Sink;
pub use subscriber::{Interest, Subscriber, Subscribers};
pub use tail::Tail;
