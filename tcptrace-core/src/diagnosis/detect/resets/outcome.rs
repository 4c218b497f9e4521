//! How a connection ended, with what both of its ends tell, where both are of this host.

use super::loss::{Loss, Talk, loss, talk};
use crate::model::{
    close::{Cause, Closing, Role},
    transition::Transition,
};

/// Who reset a connection. Where both ends tell of one, the greater is what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Story {
    /// The other end, which is not of this host.
    Peer,
    /// This host, which has the other end's address; that end was not seen.
    ThisHost,
    /// This host, where the other end was seen and does not tell of a reset, nor that it had closed.
    Unexplained,
    /// The kernel, for want of memory, or for what it does not tell.
    Kernel,
    /// A program of this host had closed, and the kernel resets what comes after.
    ClosedFirst,
    /// `ss -K`, or what else destroys sockets.
    Killed,
    /// A program, by `connect()` to `AF_UNSPEC`.
    Disconnect,
    /// A program that ended with the connection open, as one that crashes does.
    Exited,
    /// A program that has closed with unread data.
    Unread,
    /// A program, by `SO_LINGER`.
    Linger,
    /// A listener was closed before anybody accepted.
    ListenerClosed,
}

impl Story {
    /// Who reset the connection that ended so at one end; `None` where nobody did.
    fn of(cause: Cause, closing: &Closing, peer_is_here: bool) -> Option<Self> {
        let reason = closing.reset_reason.as_deref().unwrap_or_default();
        Some(match cause {
            Cause::ResetByKernel if reason.contains("on_data") => Self::ClosedFirst,
            Cause::ResetByPeer if peer_is_here => Self::ThisHost,
            Cause::ResetByPeer => Self::Peer,
            Cause::ResetLinger => Self::Linger,
            Cause::ResetUnread => Self::Unread,
            Cause::ProcessExited if closing.reset_sent == Some(true) => Self::Exited,
            Cause::ResetDisconnect => Self::Disconnect,
            Cause::ResetByKernel => Self::Kernel,
            Cause::ListenerClosed => Self::ListenerClosed,
            _ => return None,
        })
    }

    /// Who reset the connection whose one end was reset by the other, which has no reset to tell of; `causes` of both.
    fn of_other(causes: [Option<Cause>; 2]) -> Self {
        let has = |all: &[Cause]| causes.iter().flatten().any(|cause| all.contains(cause));
        if has(&[Cause::Killed]) {
            Self::Killed
        } else if has(&[Cause::ProcessExited]) {
            Self::Exited
        } else if has(&[Cause::ActiveClose, Cause::PassiveClose, Cause::SimultaneousClose]) {
            Self::ClosedFirst
        } else {
            Self::Unexplained
        }
    }

    /// Whether the end that says so has sent it.
    pub(super) fn is_sent(self) -> bool {
        !matches!(self, Self::Peer | Self::ThisHost)
    }

    /// Whether a program of this host is behind it.
    pub(super) fn has_culprit(self) -> bool {
        self > Self::Kernel
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Outcome {
    /// `None` where it ended without a reset.
    pub(super) story: Option<Story>,
    pub(super) loss: Loss,
    pub(super) talk: Talk,
    /// Only the client knows the connection, at the address of this host: the kernel may not have taken it.
    pub(super) may_be_refused: bool,
    /// The server's end tells of it.
    pub(super) at_server: bool,
}

/// The loss with a connection that is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// A request that had no answer.
    Unanswered,
    /// Data.
    Data,
    /// A client, whom nobody accepted.
    Refused,
}

impl Outcome {
    /// As one end tells it.
    pub(super) fn of(transition: &Transition, closing: &Closing, peer_is_here: bool) -> Self {
        let story = closing.cause.and_then(|cause| Story::of(cause, closing, peer_is_here));
        let talk = talk(transition, closing);
        let is_client = closing.role == Some(Role::Client);
        Self {
            story,
            loss: story.map_or(Loss::Nothing, |story| loss(transition, closing, story.is_sent())),
            talk,
            may_be_refused: is_client && story == Some(Story::ThisHost) && talk != Talk::Answered,
            at_server: closing.role == Some(Role::Server),
        }
    }

    /// As both ends tell it; `causes` are why each ended.
    pub(super) fn with(self, other: Self, causes: [Option<Cause>; 2]) -> Self {
        let story = match (self.story, other.story) {
            (None, None) => None,
            (Some(one), Some(two)) => Some(one.max(two)),
            (Some(one), None) | (None, Some(one)) if one.is_sent() => Some(one),
            _ => Some(Story::of_other(causes)),
        };
        // Both ends are of this host.
        let story = story.map(|story| if story == Story::Peer { Story::ThisHost } else { story });
        Self {
            story,
            loss: self.loss.max(other.loss),
            talk: self.talk.max(other.talk),
            may_be_refused: false,
            at_server: true,
        }
    }

    /// What was lost. `one_way`: nobody awaits an answer there.
    pub(super) fn lost(self, one_way: bool) -> Option<Kind> {
        self.story?;
        match (self.loss, self.talk) {
            (Loss::Client, _) => Some(Kind::Refused),
            (Loss::Data, _) => Some(Kind::Data),
            (_, Talk::Unanswered) if !one_way => Some(Kind::Unanswered),
            _ => None,
        }
    }

    /// Whether nothing was said, and nothing lost.
    pub(super) fn is_mute(self) -> bool {
        self.talk == Talk::Mute && self.loss <= Loss::Unknown
    }

    /// Whether nothing tells of what was lost.
    pub(super) fn is_unknown(self) -> bool {
        self.story.is_some()
            && self.loss <= Loss::Unknown
            && (self.loss == Loss::Unknown || self.talk == Talk::Unknown)
    }
}
