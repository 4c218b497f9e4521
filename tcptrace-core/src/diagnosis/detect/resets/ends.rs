//! Both ends of a connection within this host, which is one connection.

use std::{net::SocketAddr, sync::Arc};

use super::outcome::Outcome;
use crate::{
    diagnosis::detect::endpoint::Endpoint,
    model::{close::Cause, hash::HashMap, owner::Owner},
};

/// Ends that wait for the other one, at most.
const ROOM: usize = 65_536;

/// What is kept of an end until the other one ends.
#[derive(Clone)]
pub(super) struct End {
    pub(super) at_server: bool,
    pub(super) outcome: Outcome,
    pub(super) cause: Option<Cause>,
    /// Of a reset: cause, state and reason, in words.
    pub(super) text: String,
    pub(super) owner: Option<Arc<Owner>>,
}

/// The end that a server has, and that of its client.
pub(super) type Ends = (Endpoint, SocketAddr);

/// Ends whose other end has not ended yet, of two intervals between scans.
#[derive(Default)]
pub(super) struct OpenEnds {
    now: HashMap<Ends, End>,
    before: HashMap<Ends, End>,
}

impl OpenEnds {
    /// The other end, where it has ended before; this one is kept otherwise, as far as there is room.
    pub(super) fn other(&mut self, ends: Ends, end: &End) -> Option<End> {
        let is_other = |known: &End| known.at_server != end.at_server;
        for table in [&mut self.now, &mut self.before] {
            if table.get(&ends).is_some_and(is_other) {
                return table.remove(&ends);
            }
        }
        if self.now.len() < ROOM {
            self.now.insert(ends, end.clone());
        }
        None
    }

    /// At a scan: forgets what has waited since before the last one, so that a port that is used again does not find the end
    /// of another connection.
    pub(super) fn forget_old(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }
}
