//! Who a socket belongs to: the processes that hold it open, and what these are.
//!
//! [`Holders`](tcptrace_core::model::holders::Holders) maps a socket's inode to those who hold it; [`Processes`] tells of a process its name, program, user,
//! systemd unit and container. All of it is read, nothing is kept beyond what the caller keeps.

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
