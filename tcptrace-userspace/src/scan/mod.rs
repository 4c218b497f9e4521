//! Scans of the host: its sockets, their holders, and the identity of these processes.

pub mod host;
pub mod namespaces;
pub mod process;
pub mod snapshot;
