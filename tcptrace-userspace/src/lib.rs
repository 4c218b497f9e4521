//! tcptrace's user space: everything between the kernel's ring buffer and the user's terminal.
//!
//! The folders are layers, from the ground up; a layer uses those before it:
//!
//! - [`model`]: the nouns, such as a transition, an owner or a cause;
//! - [`sys`]: helpers for the operating system;
//! - [`bpf`]: the kernel side, loaded, attached and read;
//! - [`scan`]: what the host has now;
//! - [`decode`], [`tracker`], [`half_open`]: from bytes of the ring to transitions of a connection;
//! - [`diagnosis`]: what is wrong, and how much could be seen;
//! - [`output`]: text, JSON and CSV;
//! - [`capture`], [`trace`]: the file format, and the loop that moves everything;
//! - [`commands`]: the command line.
//!
//! `docs/architecture.md` follows an event through them.

pub mod bpf;
pub mod capture;
pub mod commands;
pub mod decode;
pub mod diagnosis;
#[doc(hidden)]
pub mod fuzzing;
pub mod half_open;
pub mod model;
pub mod output;
pub mod record;
pub mod scan;
pub mod sys;
pub mod trace;
pub mod tracker;
