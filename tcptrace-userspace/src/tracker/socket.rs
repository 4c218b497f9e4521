//! What is remembered of a socket from one transition to the next.

use super::{Since, history::History};
use crate::{
    record::{Owner, Transition},
    state::State,
};

/// What is remembered of a socket.
pub(super) struct Socket {
    pub(super) cookie: u64,
    pub(super) netns: Option<u32>,
    pub(super) state: State,
    /// When it entered `state`; `None` when that is not known.
    pub(super) since: Option<Since>,
    pub(super) owner: Option<Owner>,
    pub(super) history: History,
    /// Its first transition, which waits for the next one to tell the port or the peer.
    pub(super) waiting: Option<Box<Transition>>,
}

/// One of which nothing is known.
impl Default for Socket {
    fn default() -> Self {
        Self {
            cookie: 0,
            netns: None,
            state: State::CLOSE,
            since: None,
            owner: None,
            history: History::default(),
            waiting: None,
        }
    }
}

impl Socket {
    /// Whether what is known of it is newer than this time.
    pub(super) fn is_newer(&self, ktime_ns: u64) -> bool {
        matches!(self.since, Some(Since::Exactly(ns)) if ns > ktime_ns)
    }
}
