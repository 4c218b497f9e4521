//! A network namespace: addresses, limits, counters.

use std::{collections::BTreeMap, net::IpAddr};

use super::limits::Limits;

/// A network namespace at one moment: addresses, limits, counters.
#[derive(Clone, Debug, Default)]
pub struct NamespaceSample {
    /// Its counters, by the names of `nstat`, without those that the kernel does not have.
    pub counters: BTreeMap<String, u64>,
    /// Its settings.
    pub limits: Limits,
    /// Its name for `ip netns exec`.
    pub name: Option<String>,
    /// The addresses of its interfaces.
    pub addresses: Vec<LocalAddress>,
    /// The number of connections in its connection tracking, and the maximum; `None` without connection tracking.
    pub conntrack: Option<(u64, u64)>,
    /// Sockets that no process has open, of the whole host (`orphan` in `/proc/net/sockstat`).
    pub orphans: Option<u64>,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    /// The address.
    pub address: IpAddr,
    /// The interface's name.
    pub interface: String,
    /// The interface is up and has a carrier (`IFF_UP`, `IFF_RUNNING`).
    pub running: bool,
}
