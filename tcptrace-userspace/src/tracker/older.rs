//! Sockets of which the trace has seen nothing yet, from a list of the kernel's.

use super::{Socket, ends::Ends, history::History, owners::Owners, starts_as_child};
use crate::model::{
    close::Role,
    event::{Device, Event},
    hash::HashMap,
    owner::Owner,
    state::State,
};

/// A full socket that the kernel listed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Older {
    /// The same number as in events that have one.
    pub cookie: u64,
    /// Its addresses and ports.
    pub ends: Ends,
    /// The state that it was in.
    pub state: State,
    /// When it entered that state.
    pub since: Since,
    /// When the list was begun, nanoseconds of `CLOCK_MONOTONIC`: an event before that may be in it already.
    pub listed_ns: u64,
    /// Which part it has, where that can be told.
    pub role: Option<Role>,
    /// Who has it open.
    pub owner: Option<Owner>,
    /// It is bound to a network device.
    #[serde(default)]
    pub on_device: bool,
}

/// A timewait socket that the kernel listed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OlderTimewait {
    /// The cookie of the socket that it is left of.
    pub cookie: u64,
    /// Its addresses and ports.
    pub ends: Ends,
    /// FIN_WAIT2 or TIME_WAIT.
    pub state: State,
    /// When it entered that state, nanoseconds of `CLOCK_MONOTONIC`.
    pub since_ns: u64,
    /// When the list was begun.
    pub listed_ns: u64,
    /// The network device that it is bound to.
    #[serde(default)]
    pub device: Option<Device>,
}

/// When a socket entered its state, nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Since {
    /// Then.
    Exactly(u64),
    /// Then or earlier.
    AtLatest(u64),
}

impl Since {
    pub(super) fn ns(self) -> u64 {
        match self {
            Self::Exactly(ns) | Self::AtLatest(ns) => ns,
        }
    }
}

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
