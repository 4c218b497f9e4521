//! Both ends of a connection within this host, which is one connection.

use std::sync::Arc;

use super::outcome::Outcome;
use crate::{
    diagnosis::detect::scoped::ScopedEndpoint,
    model::{close::Cause, flow::Endpoint, hash::HashMap, owner::Owner},
};

/// Ends that wait for the other one, at most.
const ROOM: usize = 65_536;

/// One end of a connection, kept until the other one ends.
#[derive(Clone)]
pub(super) struct End {
    pub(super) at_server: bool,
    pub(super) outcome: Outcome,
    pub(super) cause: Option<Cause>,
    /// Cause, state and reason of a reset, in words.
    pub(super) text: String,
    pub(super) owner: Option<Arc<Owner>>,
}

/// The end that a server has, and that of its client.
type Pair = (ScopedEndpoint, Endpoint);

/// Ends whose other end has not ended yet, of two intervals between scans.
#[derive(Default)]
pub(super) struct OpenEnds {
    now: HashMap<Pair, End>,
    before: HashMap<Pair, End>,
}

impl OpenEnds {
    /// The other end, where it has ended before; this one is kept otherwise, as far as there is room.
    pub(super) fn other(&mut self, pair: Pair, end: &End) -> Option<End> {
        let is_other = |known: &End| known.at_server != end.at_server;
        for table in [&mut self.now, &mut self.before] {
            if table.get(&pair).is_some_and(is_other) {
                return table.remove(&pair);
            }
        }
        if self.now.len() < ROOM {
            self.now.insert(pair, end.clone());
        }
        None
    }

    /// At a scan: forgets what has waited since before the last one, so that a port that is used again does not find the end
    /// of another connection.
    pub(super) fn forget_old(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }
}
