//! Names of the network devices that sockets are bound to, in tcptrace's own network namespace. tcptrace enters no other
//! namespace for a name.

use std::sync::Arc;

use tcptrace_core::model::hash::HashMap;

use crate::scan::snapshot;

/// How long a name holds. A device can be renamed, and another device can get its index.
const HOLDS_NS: u64 = 1_000_000_000;

/// Names at most. When there are more, all are dropped.
const CAPACITY: usize = 1_024;

/// A cache of the names of this namespace's devices.
pub(super) struct DeviceNames {
    netns: Option<u32>,
    names: HashMap<u32, (u64, Option<Arc<str>>)>,
}

impl DeviceNames {
    /// `netns`: the inode of the namespace that the calling thread is in, where that is known.
    pub(super) fn new(netns: Option<u32>) -> Self {
        Self { netns, names: HashMap::default() }
    }

    /// The name of a device at the time of an event; `None` when it is gone, or in another namespace.
    pub(super) fn name(&mut self, netns: u32, ifindex: u32, ktime_ns: u64) -> Option<Arc<str>> {
        if self.netns != Some(netns) {
            return None;
        }
        if let Some((asked_ns, name)) = self.names.get(&ifindex)
            && ktime_ns < asked_ns.saturating_add(HOLDS_NS)
        {
            return name.clone();
        }
        if self.names.len() == CAPACITY && !self.names.contains_key(&ifindex) {
            self.names.clear();
        }
        let name = snapshot::name_of(ifindex);
        self.names.insert(ifindex, (ktime_ns, name.clone()));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_devices_of_this_namespace_have_names() {
        let lo = 1;
        let mut devices = DeviceNames::new(Some(7));
        assert_eq!(
            devices.name(7, lo, 5).as_deref(),
            Some("lo"),
            "the loopback is the first of every namespace"
        );
        assert_eq!(devices.name(8, lo, 5), None);
        assert_eq!(devices.name(7, u32::MAX, 5), None);
        assert_eq!(DeviceNames::new(None).name(7, lo, 5), None);
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut devices = DeviceNames::new(Some(7));
        for ifindex in 1_000_000..1_002_000 {
            devices.name(7, ifindex, 5);
        }
        assert!(devices.names.len() <= CAPACITY);
    }
}
