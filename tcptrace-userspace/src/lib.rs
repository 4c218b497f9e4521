//! tcptrace on a live host: the parts between the kernel and the pure half of a trace ([`tcptrace_core`]), and the
//! command line.
//!
//! The folders are layers, from the ground up; a layer uses those before it:
//!
//! - [`sys`]: helpers for the operating system;
//! - [`bpf`]: the kernel side, loaded, attached and read;
//! - [`scan`]: scans of the host: sockets, processes and namespaces;
//! - [`recording`]: captures as files, while they are written;
//! - [`session`]: a running trace, and the interface for programs;
//! - [`commands`]: the command line.
//!
//! `docs/architecture.md` follows an event through them.

pub mod bpf;
pub mod commands;
#[doc(hidden)]
pub mod fuzzing;
pub mod recording;
pub mod scan;
pub mod session;
pub mod sys;
