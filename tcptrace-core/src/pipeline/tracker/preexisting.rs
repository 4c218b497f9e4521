//! Sockets of which the trace has seen nothing yet, from a list of the kernel's.

use super::{Socket, history::History, owners::Owners, starts_as_child};
use crate::model::{event::Event, flow::Flow, hash::HashMap, socket_dump::Preexisting, state::State};

/// Listed sockets until their first event.
#[derive(Default)]
pub(super) struct PreexistingSockets {
    by_cookie: HashMap<u64, Preexisting>,
    /// For events without cookies.
    by_flow: HashMap<Flow, u64>,
}

impl PreexistingSockets {
    /// `cookies`: events have them, so that no socket is looked for by its ends.
    pub(super) fn new(listed: Vec<Preexisting>, cookies: bool) -> Self {
        let by_flow = listed
            .iter()
            .filter(|_| !cookies)
            .map(|preexisting| (preexisting.flow, preexisting.cookie))
            .collect();
        Self {
            by_cookie: listed.into_iter().map(|preexisting| (preexisting.cookie, preexisting)).collect(),
            by_flow,
        }
    }

    pub(super) fn contains(&self, cookie: u64) -> bool {
        self.by_cookie.contains_key(&cookie)
    }

    /// What is known of the event's socket, as if its last event had been seen.
    pub(super) fn take(&mut self, event: &Event, owners: &mut Owners) -> Option<Socket> {
        if self.by_cookie.is_empty() || starts_as_child(event) {
            return None;
        }
        let cookie = match event.cookie {
            0 => self.by_flow.remove(&event.flow)?,
            cookie => cookie,
        };
        let preexisting = self.by_cookie.remove(&cookie)?;
        // It begins another life, or the list is newer than the event and tells nothing of what was before.
        let since = Some(preexisting.since).filter(|_| event.ktime_ns >= preexisting.dumped_ns);
        (event.old_state != State::CLOSE).then(|| Socket {
            cookie: preexisting.cookie,
            netns: preexisting.flow.netns.unwrap_or(0),
            state: preexisting.state,
            since,
            owner: preexisting.owner.map(|owner| owners.share(owner)),
            history: History::with_role(preexisting.role),
            waiting: None,
        })
    }
}
