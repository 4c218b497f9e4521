//! What the host has now: sockets, who holds them, and what these processes are.

pub mod look;
pub mod process;
pub mod snapshot;
