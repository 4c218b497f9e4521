//! Arrivals: processes at the moment when they connect or listen for the first time.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use aya::{Ebpf, maps::Map};
use bytes::Buf as _;

use super::{
    Error,
    boundary::Entries,
    object::{map, object},
    ring,
};

/// The ring on which the kernel side puts the ids of such processes.
pub struct Arrivals(Entries);

impl Arrivals {
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let Map::RingBuf(ids) = map(ebpf, "ARRIVALS")? else {
            return Err(object("ARRIVALS is no ring buffer"));
        };
        Entries::open(ids, ring::ring_size(0)).map(Self).map_err(object)
    }

    /// A descriptor that becomes readable with each further process.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn wakeups(&self) -> io::Result<OwnedFd> {
        self.0.as_fd().try_clone_to_owned()
    }

    /// Hands the ids of the processes that have come to `take`.
    pub fn drain(&mut self, mut take: impl FnMut(u32)) {
        self.0.drain(|mut entry| {
            if let Ok(pid) = entry.try_get_u64_ne() {
                take(u32::try_from(pid).unwrap_or(0));
            }
            true
        });
    }
}
