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
    /// Of a connection: the process that sent the first FIN was ending. Of a listener: when it began to listen it had done so
    /// before. One bit for both, since there may be a million.
    noted: bool,
    /// Segments sent again.
    retransmits: u32,
    /// When its first transition was.
    born_ns: Option<NonZeroU64>,
    /// The first state that it left: of an open connection, of which there may be a million, the only one.
    first: Option<State>,
    /// Nanoseconds in that.
    first_ns: u64,
    /// In the others, by number.
    others_ns: Option<Box<[u64; STATES]>>,
}

/// States by number; those that have no full sockets included.
const STATES: usize = 13;

impl History {
    /// That of a socket of which only this is known.
    pub(super) fn with_role(role: Option<Role>) -> Self {
        Self { role, ..Self::default() }
    }

    /// Of the same socket, that may have begun once more unseen, and now has this event: only its part is still known,
    /// while it goes on from there.
    pub(super) fn of_another_life(self, event: &Event) -> Self {
        Self::with_role(
            self.role.filter(|role| (*role == Role::Client) == (event.old_state != State::LISTEN)),
        )
    }

    /// Takes in a transition; `in_old_state_ns` is how long the state that it leaves lasted, where that is to be told.
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

    /// Nanoseconds in a state that it has left.
    fn spent_ns(&self, state: State) -> u64 {
        if self.first == Some(state) {
            return self.first_ns;
        }
        self.others_ns.as_ref().and_then(|others| others.get(usize::from(state.0))).copied().unwrap_or(0)
    }

    /// A segment was sent again.
    pub(super) fn retransmitted(&mut self) {
        self.retransmits = self.retransmits.saturating_add(1);
    }

    /// How it ended, by its transition to CLOSE, which has been added, and by what was seen beside it.
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
