//! What the network namespaces of the host say of themselves, for a trace of half-open connections.

use std::fs;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use tcptrace_core::model::netstat::Netstat;

use crate::{
    bpf,
    scan::snapshot::{Netns, Visited, visit},
    sys::{clock::monotonic_ns, host::sysctl_number},
};

/// What a namespace says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamespaceFacts {
    /// Inode number; `None` when not known.
    pub inode: Option<u32>,
    /// `SO_NETNS_COOKIE`, by which a sock_ops program knows it.
    pub cookie: Option<u64>,
    /// `net.ipv4.tcp_synack_retries`.
    pub retries: Option<u32>,
    /// Counters; `None` where they were not asked for.
    pub netstat: Option<Netstat>,
}

/// What all of them say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceScan {
    /// When it began, nanoseconds of `CLOCK_MONOTONIC`: it has the namespaces that there were then.
    pub begin_ns: u64,
    /// Each once.
    pub facts: Vec<NamespaceFacts>,
    /// No namespace that was found is missing.
    pub is_complete: bool,
}

/// Asks all namespaces that can be reached, or one, on a thread of its own. `is_counted`: by its cookie, whether one is
/// not asked for its counters, which takes most of the time.
pub fn scan(netns: Option<&Netns>, is_counted: impl Fn(u64) -> bool + Sync) -> NamespaceScan {
    let begin_ns = monotonic_ns();
    let Visited { each, is_complete } = visit(netns, || here(&is_counted));
    let facts = each.into_iter().map(|(inode, facts)| NamespaceFacts { inode, ..facts }).collect();
    NamespaceScan { begin_ns, facts, is_complete }
}

/// Of the namespace that the calling thread is in, but for its inode.
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
