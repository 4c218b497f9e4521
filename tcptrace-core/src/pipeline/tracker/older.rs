//! Sockets of which the trace has seen nothing yet, from a list of the kernel's.

use super::{Socket, history::History, owners::Owners, starts_as_child};
use crate::model::{ends::Ends, event::Event, hash::HashMap, listing::Older, state::State};

/// Listed sockets until their first event.
#[derive(Default)]
pub(super) struct OlderSockets {
    by_cookie: HashMap<u64, Older>,
    /// For events without cookies.
    by_ends: HashMap<Ends, u64>,
}

impl OlderSockets {
    /// `cookies`: events have them, so that no socket is looked for by its ends.
    pub(super) fn new(listed: Vec<Older>, cookies: bool) -> Self {
        let by_ends = listed.iter().filter(|_| !cookies).map(|older| (older.ends, older.cookie)).collect();
        Self { by_cookie: listed.into_iter().map(|older| (older.cookie, older)).collect(), by_ends }
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
            0 => self.by_ends.remove(&Ends::of(event))?,
            cookie => cookie,
        };
        let older = self.by_cookie.remove(&cookie)?;
        // It begins another life, or the list is newer than the event and tells nothing of what was before.
        let since = Some(older.since).filter(|_| event.ktime_ns >= older.listed_ns);
        (event.old_state != State::CLOSE).then(|| Socket {
            cookie: older.cookie,
            netns: older.ends.netns.unwrap_or(0),
            state: older.state,
            since,
            owner: older.owner.map(|owner| owners.share(owner)),
            history: History::with_role(older.role),
            waiting: None,
        })
    }
}
