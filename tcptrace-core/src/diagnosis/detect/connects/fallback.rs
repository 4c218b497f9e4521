//! Clients that connect to a service by a name with an address of each family, such as `localhost`. Where the service
//! listens on one of the addresses only, the clients are refused at the other one, and connect at the next attempt (RFC
//! 8305). That does no harm.

use super::{
    outcomes::Outcomes,
    processes::{Process, Processes},
};
use crate::{
    diagnosis::detect::{index::Addresses, scoped::ScopedEndpoint},
    model::{
        finding::Finding,
        flow::Endpoint,
        hash::{HashMap, HashSet},
    },
};

/// Refused attempts whose programs connected to the same port by the other family.
pub(super) struct Fallback {
    /// The endpoint to which most of them connected.
    pub(super) to: Endpoint,
    /// The number of these attempts.
    pub(super) count: u64,
    /// The programs that connected as often as they were refused.
    pub(super) served: HashSet<u32>,
}

impl Fallback {
    /// The fallback of attempts at `from`, made in the namespace `netns`; scanners are left out. `None` where there is none.
    ///
    /// Both addresses must be the namespace's own, and both must be loopback addresses or neither. So two backends of a
    /// proxy on the same port are not taken for one service.
    pub(super) fn of(
        from: ScopedEndpoint,
        netns: Option<u32>,
        processes: &Processes,
        scanners: &HashMap<u32, Process>,
        addresses: &Addresses,
    ) -> Option<Self> {
        if !addresses.is_of_namespace(netns, from.end.address) {
            return None;
        }
        let is_alternative = |to: &ScopedEndpoint| {
            to.end.port == from.end.port
                && to.end.address.is_ipv4() != from.end.address.is_ipv4()
                && to.end.address.is_loopback() == from.end.address.is_loopback()
                && to.is_alike(from)
                && addresses.is_of_namespace(netns, to.end.address)
        };
        let mut all: HashMap<ScopedEndpoint, u64> = HashMap::default();
        let mut served = HashSet::default();
        for (pid, process) in processes.all() {
            let refused = process.destinations.get(&from).map_or(0, Outcomes::refused);
            if refused == 0 || scanners.contains_key(pid) {
                continue;
            }
            let others = process.destinations.iter().filter(|(to, _)| is_alternative(to));
            if let Some((to, others)) = others.max_by_key(|(to, others)| (others.connected, to.end.address)) {
                if others.connected >= refused {
                    served.insert(*pid);
                }
                *all.entry(*to).or_default() += others.connected.min(refused);
            }
        }
        let count = all.values().sum();
        let most = all.into_iter().max_by_key(|(to, count)| (*count, to.end.address))?;
        (count > 0).then(|| Self { to: most.0.end, count, served })
    }

    /// The fallback in words, of `refused` attempts in total.
    pub(super) fn in_words(&self, refused: u64) -> String {
        let Self { to, count, .. } = self;
        if *count == refused {
            format!("the same programs connect to {to} instead")
        } else {
            format!("after {count} of these the same program connects to {to} instead")
        }
    }

    pub(super) fn tell(&self, finding: Finding) -> Finding {
        let Self { to, count, .. } = self;
        finding
            .because("of these with a connection of the same program to the other family", *count)
            .then(&format!("Only {to} is served: let the service listen on both, or name that address"), None)
    }
}
