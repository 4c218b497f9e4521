//! The names of network devices, in the namespace that the calling thread is in.

use std::sync::Arc;

use nix::net::if_::if_indextoname;
use tcptrace_core::model::{hash::HashMap, socket::Socket};

/// Names of the devices resolved so far. Most sockets have no device; the others share a few.
#[derive(Default)]
pub(super) struct Devices(HashMap<u32, Option<Arc<str>>>);

impl Devices {
    /// Names the devices that sockets are bound to.
    pub(super) fn name(&mut self, sockets: &mut [Socket]) {
        for socket in sockets {
            if let Some(ifindex) = socket.ifindex {
                socket.device.clone_from(self.0.entry(ifindex).or_insert_with(|| name_of(ifindex)));
            }
        }
    }
}

/// The name of the device with this index; `None` when there is none.
pub(crate) fn name_of(ifindex: u32) -> Option<Arc<str>> {
    // For an index that no device can have, the C library returns an empty name.
    let name = if_indextoname(ifindex).ok().filter(|name| !name.is_empty())?;
    Some(name.to_string_lossy().into())
}
