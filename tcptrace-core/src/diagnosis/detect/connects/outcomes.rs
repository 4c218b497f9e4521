//! The outcomes of attempts to connect, counted.

use crate::model::{close::Cause, errno::Errno, state::State, transition::Transition};

/// A SYN is sent again after a second (`TCP_TIMEOUT_INIT`).
const SYN_AGAIN_NS: u64 = 1_000_000_000;

/// Outcomes of a SYN other than a connection. The first is refused; the others get no answer, or an ICMP error.
const FAILURES: [Cause; 5] = [
    Cause::Refused,
    Cause::ConnectTimeout,
    Cause::HostUnreachable,
    Cause::NetUnreachable,
    Cause::ConnectCancelled,
];

/// Attempts by their outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcomes {
    pub(super) connected: u64,
    /// The failed attempts, in the order of [`FAILURES`].
    failures: [u64; FAILURES.len()],
    /// Failed attempts that a filter prohibits in its own name (`EACCES`, by ICMPv6).
    pub(super) prohibited: u64,
}

impl Outcomes {
    /// The outcome of one attempt; `None` for a transition that ends no attempt, or from which nothing follows.
    pub(super) fn of(transition: &Transition) -> Option<Self> {
        let event = &transition.event;
        let cause = transition.closing.as_ref().and_then(|closing| closing.cause);
        let mut outcomes = Self::default();
        match (event.old_state, event.new_state, cause) {
            (State::SYN_SENT, State::ESTABLISHED, _) => outcomes.connected = 1,
            (State::SYN_SENT, State::CLOSE, Some(cause)) => {
                let failure = FAILURES.iter().position(|failure| *failure == cause)?;
                // A program that tries several addresses at once gives up the slower ones at once.
                let waited = transition.in_old_state_ns.is_some_and(|ns| ns >= SYN_AGAIN_NS);
                if cause == Cause::ConnectCancelled && !waited {
                    return None;
                }
                outcomes.failures[failure] = 1;
                outcomes.prohibited = u64::from(event.error == Some(Errno::EACCES.0));
            }
            _ => return None,
        }
        Some(outcomes)
    }

    pub(super) fn refused(&self) -> u64 {
        self.failures[0]
    }

    /// Attempts without an answer, or with an ICMP error.
    pub(super) fn unreachable(&self) -> u64 {
        self.failures[1..].iter().sum()
    }

    pub(super) fn failed(&self) -> u64 {
        self.failures.iter().sum()
    }

    /// The causes of failures, and how often each occurred.
    pub(super) fn causes(&self) -> impl Iterator<Item = (Cause, u64)> {
        FAILURES.into_iter().zip(self.failures).filter(|(_, count)| *count > 0)
    }

    pub(super) fn add(&mut self, more: &Self) {
        self.connected += more.connected;
        self.prohibited += more.prohibited;
        self.failures.iter_mut().zip(more.failures).for_each(|(count, more)| *count += more);
    }

    /// Subtracts outcomes that are counted elsewhere.
    pub(super) fn without(mut self, others: &Self) -> Self {
        self.connected = self.connected.saturating_sub(others.connected);
        self.prohibited = self.prohibited.saturating_sub(others.prohibited);
        for (count, others) in self.failures.iter_mut().zip(others.failures) {
            *count = count.saturating_sub(others);
        }
        self
    }
}
