//! How the host was at one moment.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Limits, Who};
use crate::snapshot::Socket;

/// A look at the host.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// When it was complete, nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// All sockets that are wanted, as old as earlier looks tell.
    pub sockets: Vec<Seen>,
    /// The network namespaces that were read, by their inode numbers.
    pub namespaces: BTreeMap<Option<u32>, NamespaceSample>,
    /// What could not be seen, in words.
    pub unseen: Option<String>,
}

/// Namespace, local address and port.
pub(super) type LocalEnd = (Option<u32>, IpAddr, u16);

/// A socket, and whose it is.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The socket.
    pub socket: Socket,
    /// The processes that have it open, or the listener that it came from.
    pub owners: Vec<Who>,
}

impl Seen {
    /// Where it is bound.
    pub(super) fn local_end(&self) -> LocalEnd {
        (self.socket.netns, self.socket.laddr, self.socket.lport)
    }
}

/// What a network namespace says of itself.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct NamespaceSample {
    /// Its counters, by the names of `nstat`; what the kernel does not have is missing.
    pub counters: BTreeMap<String, u64>,
    /// Its settings.
    pub limits: Limits,
}
