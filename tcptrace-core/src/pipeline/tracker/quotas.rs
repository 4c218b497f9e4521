//! How many timewait sockets each network namespace has, and may have. Beyond `net.ipv4.tcp_max_tw_buckets` the kernel makes
//! no timewait socket, and closes the connection at once (`inet_twsk_alloc()`, `tcp_time_wait()`).

use crate::model::hash::HashMap;

/// The quotas by the inode of the namespace.
#[derive(Default)]
pub(super) struct Quotas(HashMap<Option<u32>, Quota>);

#[derive(Default)]
struct Quota {
    taken: u64,
    /// `None` when it is not known.
    most: Option<u64>,
}

impl Quotas {
    /// Sets the limit of each of these namespaces. The limits of others, such as namespaces that are gone, are no longer
    /// known.
    pub(super) fn limit(&mut self, limits: impl IntoIterator<Item = (Option<u32>, u64)>) {
        self.0.retain(|_, quota| {
            quota.most = None;
            quota.taken > 0
        });
        for (netns, most) in limits {
            self.0.entry(netns).or_default().most = Some(most);
        }
    }

    /// Whether the namespace has as many timewait sockets as it may have.
    pub(super) fn is_full(&self, netns: Option<u32>) -> bool {
        self.0.get(&netns).is_some_and(|quota| quota.most.is_some_and(|most| quota.taken >= most))
    }

    /// Counts another timewait socket.
    pub(super) fn enter(&mut self, netns: Option<u32>) {
        self.0.entry(netns).or_default().taken += 1;
    }

    /// Counts one timewait socket less.
    pub(super) fn leave(&mut self, netns: Option<u32>) {
        if let Some(quota) = self.0.get_mut(&netns) {
            quota.taken = quota.taken.saturating_sub(1);
            if quota.taken == 0 && quota.most.is_none() {
                self.0.remove(&netns);
            }
        }
    }
}
