//! One scan of the host: its TCP sockets of one moment, those that are wanted, with their owners.

mod filter;
mod groups;
mod listeners;
pub mod order;
mod owners;

use std::fmt;

pub use groups::{By, Group, Key, Listening};
pub(crate) use listeners::{Listener, OnDevice};
pub use owners::{Owner, Owners};

use super::{
    dump::{self, Namespace},
    socket::Socket,
    socket_filter::SocketFilter,
};
use crate::model::{namespace::NamespaceSample, process::Condition};

/// A scan at the host.
#[derive(Clone, Debug)]
pub struct HostScan {
    /// When it began, nanoseconds of `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// When it was complete.
    pub end_ns: u64,
    /// All sockets that are wanted; or why there is nothing to be seen.
    pub sockets: Result<SocketScan, String>,
    /// The network namespaces that were read.
    pub namespaces: Vec<(Option<u32>, NamespaceSample)>,
    /// Processes with which connections wait.
    pub processes: Vec<(u32, Condition)>,
}

/// The sockets of a scan.
#[derive(Clone, Debug)]
pub struct SocketScan {
    /// The wanted sockets, in order.
    pub sockets: Vec<Box<Socket>>,
    /// Whose they are.
    pub owners: Owners,
    /// How many more there were among those that were asked for.
    pub hidden: usize,
    /// The namespaces that were read.
    pub namespaces: Vec<Namespace>,
    /// The gaps of the scan.
    pub gaps: Gaps,
}

/// Gaps of a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Gaps of the snapshot of the kernel's sockets.
    pub snapshot: dump::Gaps,
    /// Sockets that a process has open, which could not be found.
    pub without_owner: usize,
    /// Processes that could not be looked into, where there are such sockets.
    pub unreadable_processes: usize,
}

impl Gaps {
    /// Whether everything was seen.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One line.
impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.snapshot)?;
        if self.unreadable_processes > 0 {
            let separator = if self.snapshot.is_empty() { "" } else { ", " };
            write!(
                f,
                "{separator}owners (sockets without: {}, unreadable processes: {})",
                self.without_owner, self.unreadable_processes
            )?;
        }
        Ok(())
    }
}

impl SocketScan {
    /// What is wanted of it; it may have been made for more.
    pub fn narrow(&mut self, wanted: &SocketFilter) {
        let Self { sockets, owners, hidden, namespaces, .. } = self;
        sockets.retain(|socket| wanted.asks_for(socket));
        let all = sockets.len();
        sockets.retain(|socket| wanted.passes(socket, owners));
        *hidden = all - sockets.len();
        namespaces
            .retain(|namespace| wanted.filter.netns == 0 || namespace.inode == Some(wanted.filter.netns));
    }
}
