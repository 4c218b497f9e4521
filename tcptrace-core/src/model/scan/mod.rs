//! One scan of the host: its TCP sockets at one moment that pass the filters, with their owners.

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

/// A scan of the host.
#[derive(Clone, Debug)]
pub struct HostScan {
    /// When it began, nanoseconds of `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// When it was complete.
    pub end_ns: u64,
    /// All sockets that pass the filters; or why no sockets could be read.
    pub sockets: Result<SocketScan, String>,
    /// The network namespaces that were read.
    pub namespaces: Vec<(Option<u32>, NamespaceSample)>,
    /// Processes for which connections wait, with their condition.
    pub processes: Vec<(u32, Condition)>,
}

/// The sockets of a scan.
#[derive(Clone, Debug)]
pub struct SocketScan {
    /// The sockets that pass the filters, in order.
    pub sockets: Vec<Box<Socket>>,
    /// The owners of the sockets.
    pub owners: Owners,
    /// The number of other sockets that the kernel was asked for, which do not pass the filters.
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
    /// Sockets that a process has open, where that process could not be found.
    pub without_owner: usize,
    /// Processes that could not be read, where there are such sockets.
    pub unreadable_processes: usize,
}

impl Gaps {
    /// Whether there is no gap.
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
    /// Keeps only what passes these filters. The scan may have been made for wider ones.
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
