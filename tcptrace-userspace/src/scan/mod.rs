//! What the host has now: sockets, who holds them, and what these processes are.

pub mod host;
pub mod namespaces;
pub mod process;
pub mod snapshot;
