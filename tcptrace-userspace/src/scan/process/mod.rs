//! The processes that have a socket open (holders), and their identity.
//!
//! [`Holders`](tcptrace_core::model::holders::Holders) maps a socket's inode to its holders. [`Processes`] resolves a
//! process to its name, program, user, systemd unit and container. Everything is read from the host; only the caller
//! keeps it.

mod cgroup;
mod condition;
mod descriptors;
mod holders;
mod identity;
mod processes;

pub(crate) use condition::condition;
pub use holders::{HolderReader, read_holders, read_holders_of_proc};
pub use processes::Processes;
pub(crate) use processes::{Life, Seen};
