//! What is known of the network namespaces that half-open connections are in.

use std::{
    collections::{HashMap, HashSet},
    fs,
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use tcptrace_core::model::netstat::{NamespaceCounters, Netstat};

use crate::{
    bpf,
    scan::snapshot::{Netns, visit},
};

/// A sock_ops program knows a namespace by its cookie only, and everything else by its inode number.
pub struct Namespaces {
    wanted: Option<Netns>,
    by_cookie: HashMap<u64, u32>,
    /// Cookies that were looked for in vain.
    in_vain: HashSet<u64>,
    retries: HashMap<Option<u32>, u32>,
    /// Counters when a namespace was first seen.
    first: HashMap<Option<u32>, Netstat>,
    looked_ns: u64,
}

/// How long not to look again for a namespace that could not be found: it may have none but sockets left.
const LOOK_AGAIN_NS: u64 = 1_000_000_000;

/// What a namespace says of itself.
struct Told {
    cookie: Option<u64>,
    retries: Option<u32>,
    netstat: Netstat,
}

impl Namespaces {
    /// Looks at all, or at the wanted one.
    pub fn new(wanted: Option<Netns>, now_ns: u64) -> Self {
        let mut this = Self {
            wanted,
            by_cookie: HashMap::new(),
            in_vain: HashSet::new(),
            retries: HashMap::new(),
            first: HashMap::new(),
            looked_ns: now_ns,
        };
        this.look();
        this
    }

    /// The inode number of the namespace with this cookie; looks again for one that is not known yet.
    pub fn inode(&mut self, cookie: u64, now_ns: u64) -> Option<u32> {
        if let Some(inode) = self.by_cookie.get(&cookie) {
            return Some(*inode);
        }
        // With the wanted one known, it is another one.
        let is_another = self.wanted.is_some() && !self.by_cookie.is_empty();
        let again = now_ns.saturating_sub(self.looked_ns) >= LOOK_AGAIN_NS;
        if is_another || (self.in_vain.contains(&cookie) && !again) {
            return None;
        }
        self.looked_ns = now_ns;
        self.look();
        // One look serves all of them.
        self.in_vain.insert(cookie);
        self.in_vain.retain(|cookie| !self.by_cookie.contains_key(cookie));
        self.by_cookie.get(&cookie).copied()
    }

    /// How often the kernel sends a SYN-ACK again, by namespace, where it is known.
    pub fn retries(&self) -> Vec<(Option<u32>, u32)> {
        let mut all: Vec<_> = self.retries.iter().map(|(netns, retries)| (*netns, *retries)).collect();
        all.sort_unstable();
        all
    }

    /// How the counters of those grew that are still there.
    pub fn grown(&mut self) -> Vec<NamespaceCounters> {
        let mut all: Vec<_> = self
            .look()
            .into_iter()
            .filter_map(|(netns, told)| {
                Some(NamespaceCounters { netns, grown: told.netstat.since(self.first.get(&netns)?) })
            })
            .collect();
        all.sort_by_key(|one| one.netns);
        all
    }

    fn look(&mut self) -> Vec<(Option<u32>, Told)> {
        let all = visit(self.wanted.as_ref(), Told::here);
        for (netns, told) in &all {
            if let Some((cookie, inode)) = told.cookie.zip(*netns) {
                self.by_cookie.insert(cookie, inode);
            }
            if let Some(retries) = told.retries {
                self.retries.insert(*netns, retries);
            }
            self.first.entry(*netns).or_insert(told.netstat);
        }
        all
    }
}

impl Told {
    /// Of the namespace that the calling thread is in.
    fn here() -> Self {
        let retries = fs::read_to_string("/proc/sys/net/ipv4/tcp_synack_retries");
        let netstat = fs::read_to_string("/proc/thread-self/net/netstat");
        Self {
            cookie: cookie_here(),
            retries: retries.ok().and_then(|text| text.trim().parse().ok()),
            netstat: Netstat::of(&netstat.unwrap_or_default()),
        }
    }
}

fn cookie_here() -> Option<u64> {
    let probe = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).ok()?;
    bpf::netns_cookie(&probe)
}
