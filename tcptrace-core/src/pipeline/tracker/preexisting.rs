//! Pre-existing sockets of which the trace has seen no event yet, from a dump.

use std::sync::Arc;

use super::{Socket, history::History, owners::Owners, starts_as_child};
use crate::model::{
    close::Role,
    event::Event,
    flow::Flow,
    hash::HashMap,
    owner::Owner,
    socket_dump::{Preexisting, Since},
    state::State,
};

/// Sockets of a dump, until their first event.
#[derive(Default)]
pub(super) struct PreexistingSockets {
    by_cookie: HashMap<u64, Known>,
    /// For events without cookies.
    by_flow: HashMap<Flow, u64>,
}

/// The part of a [`Preexisting`] that is kept. A host may have a million of them.
struct Known {
    since: Since,
    dumped_ns: u64,
    owner: Option<Arc<Owner>>,
    /// 0 where it is not known.
    netns: u32,
    state: State,
    role: Option<Role>,
}

impl PreexistingSockets {
    /// `cookies`: whether events have cookies, so that no socket is searched by its flow. Sockets with the same owner share
    /// one copy of it.
    pub(super) fn new(listed: Vec<Preexisting>, cookies: bool, owners: &mut Owners) -> Self {
        let by_flow = listed
            .iter()
            .filter(|_| !cookies)
            .map(|preexisting| (preexisting.flow, preexisting.cookie))
            .collect();
        let mut known = |preexisting: Preexisting| Known {
            since: preexisting.since,
            dumped_ns: preexisting.dumped_ns,
            owner: preexisting.owner.map(|owner| owners.share(owner)),
            netns: preexisting.flow.netns.unwrap_or(0),
            state: preexisting.state,
            role: preexisting.role,
        };
        let by_cookie =
            listed.into_iter().map(|preexisting| (preexisting.cookie, known(preexisting))).collect();
        Self { by_cookie, by_flow }
    }

    pub(super) fn contains(&self, cookie: u64) -> bool {
        self.by_cookie.contains_key(&cookie)
    }

    /// Takes out the event's socket, in the state in which its last event would have left it.
    pub(super) fn take(&mut self, event: &Event) -> Option<Socket> {
        if self.by_cookie.is_empty() || starts_as_child(event) {
            return None;
        }
        let cookie = match event.cookie {
            0 => self.by_flow.remove(&event.flow)?,
            cookie => cookie,
        };
        let known = self.by_cookie.remove(&cookie)?;
        // Where the dump is newer than the event, the dump does not show the time before the event. An event from CLOSE
        // begins another life.
        let since = Some(known.since).filter(|_| event.ktime_ns >= known.dumped_ns);
        (event.old_state != State::CLOSE).then(|| Socket {
            cookie,
            netns: known.netns,
            state: known.state,
            since,
            owner: known.owner,
            history: History::with_role(known.role),
            waiting: None,
        })
    }
}
