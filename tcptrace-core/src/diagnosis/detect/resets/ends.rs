//! Both ends of a connection within this host, which are counted as one connection.

use std::sync::Arc;

use super::outcome::Outcome;
use crate::{
    diagnosis::detect::scoped::ScopedEndpoint,
    model::{close::Cause, flow::Endpoint, hash::HashMap, owner::Owner},
};

/// The capacity for ends that wait for the other end, per interval between scans.
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

/// The server's end, and the client's end.
type Pair = (ScopedEndpoint, Endpoint);

/// Ends whose other end has not ended yet, from the last two intervals between scans.
#[derive(Default)]
pub(super) struct OpenEnds {
    now: HashMap<Pair, End>,
    before: HashMap<Pair, End>,
}

impl OpenEnds {
    /// The other end, where it has ended before. Otherwise this end is kept, as far as there is capacity.
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

    /// At a scan: forgets ends that have waited since before the last scan, so that a reused port does not match the end of
    /// another connection.
    pub(super) fn forget_old(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }
}
