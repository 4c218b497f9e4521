//! The part of a connection's history that its end needs.

use std::num::NonZeroU64;

use crate::model::{
    close::{Closing, Role},
    event::Event,
    state::State,
};

use super::cause::{Ending, Surroundings, cause};

/// A socket's past.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    role: Option<Role>,
    /// For a connection: whether the process that sent the first FIN was ending. For a listener: whether it had already
    /// listened before it began to listen. One bit serves both, since there may be a million sockets.
    noted: bool,
    /// Segments sent again.
    retransmits: u32,
    /// The time of its first transition.
    born_ns: Option<NonZeroU64>,
    /// The first state that the socket left. An open connection, of which there may be a million, has left no other one.
    first: Option<State>,
    /// Nanoseconds in that first state.
    first_ns: u64,
    /// Nanoseconds in the other states, by the number of the state.
    others_ns: Option<Box<[u64; STATES]>>,
}

/// The number of states, including those that have no full sockets.
const STATES: usize = 13;

impl History {
    /// The history of a socket of which only the role is known.
    pub(super) fn with_role(role: Option<Role>) -> Self {
        Self { role, ..Self::default() }
    }

    /// The history of the same socket after a gap, in which it may have begun another life. Only its role is still known,
    /// and only if the role fits the event's old state.
    pub(super) fn of_another_life(self, event: &Event) -> Self {
        Self::with_role(
            self.role.filter(|role| (*role == Role::Client) == (event.old_state != State::LISTEN)),
        )
    }

    /// Adds a transition. `in_old_state_ns`: how long the old state lasted, where that is to be reported.
    pub(super) fn add(&mut self, event: &Event, in_old_state_ns: Option<u64>) {
        let begins = match (event.old_state, event.new_state) {
            (State::CLOSE, State::SYN_SENT) => Some(Role::Client),
            (State::CLOSE, State::LISTEN) => Some(Role::Listener),
            (State::LISTEN, State::SYN_RECV) => Some(Role::Server),
            _ => None,
        };
        if begins.is_some() {
            *self = Self {
                role: begins,
                noted: begins == Some(Role::Listener) && event.has_listened,
                born_ns: NonZeroU64::new(event.ktime_ns),
                ..Self::default()
            };
            return;
        }
        if event.old_state == State::LISTEN {
            self.role = Some(Role::Listener);
        }
        if event.new_state == State::FIN_WAIT1 {
            self.noted = event.context_owns && event.context.exiting;
        }
        if let Some(ns) = in_old_state_ns {
            self.spend(event.old_state, ns);
        }
    }

    fn spend(&mut self, state: State, ns: u64) {
        if *self.first.get_or_insert(state) == state {
            self.first_ns = self.first_ns.saturating_add(ns);
        } else if let Some(spent) = self.others_ns.get_or_insert_default().get_mut(usize::from(state.0)) {
            *spent = spent.saturating_add(ns);
        }
    }

    /// Nanoseconds in a state that the socket has left.
    fn spent_ns(&self, state: State) -> u64 {
        if self.first == Some(state) {
            return self.first_ns;
        }
        self.others_ns.as_ref().and_then(|others| others.get(usize::from(state.0))).copied().unwrap_or(0)
    }

    /// Counts a retransmitted segment.
    pub(super) fn retransmitted(&mut self) {
        self.retransmits = self.retransmits.saturating_add(1);
    }

    /// How the connection ended, by its transition to CLOSE, which must have been added, and by the evidence beside it.
    pub(super) fn close(&self, event: &Event, surroundings: Surroundings<'_>) -> Closing {
        let Self { role, noted, .. } = *self;
        let listens = event.old_state == State::LISTEN;
        let (exited, listens_again) = (noted && !listens, noted && listens);
        let ending = Ending { event, role, exited, listens_again, surroundings };
        let spent = State::LIFE[1..].iter().map(|state| (*state, self.spent_ns(*state)));
        Closing {
            cause: cause(&ending),
            reset_reason: None,
            reset_sent: surroundings.reset_sent,
            peer_is_here: false,
            retransmits: self.born_ns.filter(|_| self.role != Some(Role::Listener)).map(|_| self.retransmits),
            role: self.role,
            life_ns: self.born_ns.and_then(|born_ns| event.ktime_ns.checked_sub(born_ns.get())),
            states: spent.filter(|(_, ns)| *ns > 0).collect(),
        }
    }
}
