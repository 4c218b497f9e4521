//! Facts of the host's network namespaces, for a trace of half-open connections.

use std::fs;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use tcptrace_core::model::netstat::Netstat;

use crate::{
    bpf,
    scan::snapshot::{Netns, Visited, visit},
    sys::{clock::monotonic_ns, host::sysctl_number},
};

/// Facts of a network namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamespaceFacts {
    /// Inode number; `None` when not known.
    pub inode: Option<u32>,
    /// `SO_NETNS_COOKIE`, by which a sock_ops program knows it.
    pub cookie: Option<u64>,
    /// `net.ipv4.tcp_synack_retries`.
    pub retries: Option<u32>,
    /// Counters; `None` where they were not read.
    pub netstat: Option<Netstat>,
}

/// Facts of all network namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceScan {
    /// When the scan began, nanoseconds of `CLOCK_MONOTONIC`. It has the namespaces that existed at that time.
    pub begin_ns: u64,
    /// Facts of each namespace, once.
    pub facts: Vec<NamespaceFacts>,
    /// No namespace that was found is missing.
    pub is_complete: bool,
}

/// Reads the facts of all namespaces that can be reached, or of one, on a thread of its own. Where `is_counted` is true
/// of a namespace's cookie, its counters are not read, which takes most of the time.
pub fn scan(netns: Option<&Netns>, is_counted: impl Fn(u64) -> bool + Sync) -> NamespaceScan {
    let begin_ns = monotonic_ns();
    let Visited { each, is_complete } = visit(netns, || here(&is_counted));
    let facts = each.into_iter().map(|(inode, facts)| NamespaceFacts { inode, ..facts }).collect();
    NamespaceScan { begin_ns, facts, is_complete }
}

/// Facts of the namespace that the calling thread is in, without its inode.
fn here(is_counted: impl Fn(u64) -> bool) -> NamespaceFacts {
    let cookie = cookie_here();
    let netstat = (!cookie.is_some_and(is_counted))
        .then(|| fs::read_to_string("/proc/thread-self/net/netstat").unwrap_or_default());
    NamespaceFacts {
        inode: None,
        cookie,
        retries: sysctl_number("ipv4/tcp_synack_retries"),
        netstat: netstat.as_deref().map(Netstat::of),
    }
}

fn cookie_here() -> Option<u64> {
    let probe = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).ok()?;
    bpf::netns_cookie(&probe)
}
