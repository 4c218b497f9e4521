//! tcptrace on a live host: what is between the kernel and the pure half of a trace ([`tcptrace_core`]), and the command line.
//!
//! The folders are layers, from the ground up; a layer uses those before it:
//!
//! - [`sys`]: helpers for the operating system;
//! - [`bpf`]: the kernel side, loaded, attached and read;
//! - [`scan`]: what the host has now;
//! - [`recording`]: captures as files, while they are written;
//! - [`session`]: the loop that moves everything;
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
