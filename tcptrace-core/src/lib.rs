//! What tcptrace knows without a kernel: captures in, transitions, findings and text out. It reads no file of the host, starts
//! no thread and asks no clock, so that it works on any platform, without root, in any program.
//!
//! The folders are layers, from the ground up; a layer uses those before it:
//!
//! - [`model`]: the nouns, such as a transition, an owner or a cause;
//! - [`diagnosis`]: what is wrong, and how much could be seen;
//! - [`pipeline`]: from the inputs of a trace to its records;
//! - [`output`]: text, JSON and CSV;
//! - [`capture`]: the file format.
//!
//! `docs/architecture.md` follows an event through them.

pub mod capture;
pub mod diagnosis;
pub mod model;
pub mod output;
pub mod pipeline;
