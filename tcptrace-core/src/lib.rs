//! The pure half of tcptrace, which needs no kernel: it reads captures and makes transitions, findings and text. It reads no
//! file of the host, starts no thread and reads no clock, so it works on any platform, without root, in any program.
//!
//! The folders are layers, from the ground up. A layer uses the layers before it:
//!
//! - [`model`]: the types of the domain, such as a transition, an owner or a cause;
//! - [`diagnosis`]: detectors, their findings, and the coverage of a trace;
//! - [`pipeline`]: from the inputs of a trace to its records;
//! - [`output`]: text, JSON and CSV;
//! - [`capture`]: the file format.
//!
//! `docs/architecture.md` follows an event through these layers.

pub mod capture;
pub mod diagnosis;
pub mod model;
pub mod output;
pub mod pipeline;
