//! The end of a socket's life: passes what the tracker knows beside the event on to the conclusion of the cause.

use super::{
    History, Tracker,
    cause::{SHUTDOWN_MASK, Surroundings},
};
use crate::model::{close::Cause, event::Event, owner::Owner, state::State, transition::Transition};

impl Tracker {
    /// Adds to the transition how the connection ended. Returns the inferred transition that follows, if any. `by_holder`:
    /// the process that acts was known to have the socket open.
    pub(super) fn close(
        &mut self,
        history: &History,
        by_holder: bool,
        transition: &mut Transition,
    ) -> Option<Transition> {
        let event = &mut transition.event;
        event.error = event.error.or_else(|| self.signals.take_error(event));
        let reset = self.signals.take_reset(event);
        if let Some(reset) = reset.filter(|reset| reset.sent) {
            self.signals.note_sent(event, reset.ktime_ns);
        }
        let reset_reason = reset.and_then(|reset| self.signals.reason(&reset));
        let surroundings = Surroundings {
            reset_sent: reset.map(|reset| reset.sent),
            reset_reason: reset_reason.as_deref(),
            resets_are_seen: self.options.resets,
            by_holder: by_holder && event.context_owns,
            aborted: self.signals.was_aborted(event),
            listener_closed: self.stopping.close(event),
        };
        let was_received = surroundings.reset_sent == Some(false);
        let mut closing = history.close(event, surroundings);
        closing.reset_reason = reset_reason;
        closing.retransmits = closing.retransmits.filter(|_| self.options.retransmits);
        closing.peer_is_here = was_received && self.peer_is_here(event);
        let cause = closing.cause;
        let was_sent = reset.is_some_and(|reset| reset.sent);
        if cause == Some(Cause::SecondChild) {
            self.second_children += 1;
        } else if let Some(closed) = &mut self.closed {
            // A second child is left out: the first child may have the same cookie, which is that of the request.
            closed.insert(event.cookie);
        }
        transition.closing = Some(Box::new(closing));
        if self.options.infer && !was_sent { self.timewait.close(transition, cause) } else { None }
    }

    /// Whether the reset that ended a connection came from this host for certain.
    fn peer_is_here(&self, event: &Event) -> bool {
        event.flow.local.address == event.flow.remote.address
            || (event.flow.local.address.is_loopback() && event.flow.remote.address.is_loopback())
            || self.signals.peer_has_sent(event)
    }

    /// Clears `context_owns` where a process ends a listener without closing it, and is not known to have it open, or where
    /// the listener was destroyed from outside. The process may be `ss -K`, which is not the owner.
    pub(super) fn spare_owner(&self, event: &mut Event, by_holder: bool) {
        if (event.old_state, event.new_state) != (State::LISTEN, State::CLOSE) {
            return;
        }
        let is_closed = event.evidence.is_none_or(|evidence| evidence.shutdown == SHUTDOWN_MASK);
        if (!is_closed && !by_holder) || self.signals.was_aborted(event) {
            event.context_owns = false;
        }
    }
}

/// Whether this process is known to have the owner's socket open.
pub(super) fn holds(owner: &Owner, pid: u32) -> bool {
    owner.pid == pid || owner.others.as_ref().is_some_and(|others| others.contains(&pid))
}
