//! The state of a socket from one transition to the next.

use std::sync::Arc;

use super::history::History;
use crate::model::{owner::Owner, socket_dump::Since, state::State, transition::Transition};

/// The state of a socket. There may be a million sockets, so it is kept small.
pub(super) struct Socket {
    pub(super) cookie: u64,
    /// Inode; 0 when it is not known.
    pub(super) netns: u32,
    pub(super) state: State,
    /// When it entered `state`; `None` when that is not known.
    pub(super) since: Option<Since>,
    pub(super) owner: Option<Arc<Owner>>,
    pub(super) history: History,
    /// Its first transition, which waits until the next one shows the port or the peer.
    pub(super) waiting: Option<Box<Transition>>,
}

/// A socket of which nothing is known.
impl Default for Socket {
    fn default() -> Self {
        Self {
            cookie: 0,
            netns: 0,
            state: State::CLOSE,
            since: None,
            owner: None,
            history: History::default(),
            waiting: None,
        }
    }
}

impl Socket {
    /// Whether the socket is known to have entered its state after this time.
    pub(super) fn is_newer(&self, ktime_ns: u64) -> bool {
        matches!(self.since, Some(Since::Exactly(ns)) if ns > ktime_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A million sockets must take less than 150 MB, including 24 bytes each for their place in the table, and what the
    /// table and the allocator add.
    #[test]
    fn it_is_small() {
        assert!(size_of::<Socket>() <= 80, "{} bytes", size_of::<Socket>());
    }
}
