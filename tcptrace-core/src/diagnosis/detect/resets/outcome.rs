//! The outcome of a connection, from the evidence of both of its ends where both are on this host.

use super::loss::{Loss, Talk, loss, talk};
use crate::model::{
    close::{Cause, Closing, Role},
    transition::Transition,
};

/// The origin of a reset. Where both ends show one, the greater is the true one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Story {
    /// The other end, which is not on this host.
    Peer,
    /// This host, which has the other end's address; that end was not seen.
    ThisHost,
    /// This host; the other end was seen, and shows neither a reset nor that it had closed.
    Unexplained,
    /// The kernel, because of lack of memory, or for a reason that it does not report.
    Kernel,
    /// A program of this host had closed, and the kernel resets what arrives after that.
    ClosedFirst,
    /// `ss -K`, or another program that destroys sockets.
    Killed,
    /// A program, by `connect()` to `AF_UNSPEC`.
    Disconnect,
    /// A program that ended with the connection open, as in a crash.
    Exited,
    /// A program that has closed with unread data.
    Unread,
    /// A program, by `SO_LINGER`.
    Linger,
    /// A listener that closed before a process accepted the connection.
    ListenerClosed,
}

impl Story {
    /// The origin of the reset, from one end's cause; `None` where there was no reset.
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

    /// The origin of the reset where one end was reset by the other, and the other end shows no reset; `causes` of both.
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

    /// Whether the end that shows this story sent the reset.
    pub(super) fn is_sent(self) -> bool {
        !matches!(self, Self::Peer | Self::ThisHost)
    }

    /// Whether a program of this host caused the reset.
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
    /// Only the client's end shows the connection, to an address of this host: the kernel may not have taken it.
    pub(super) may_be_refused: bool,
    /// Whether the evidence includes the server's end.
    pub(super) at_server: bool,
}

/// The kind of loss by a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// A request that had no answer.
    Unanswered,
    /// Data.
    Data,
    /// A client that was not accepted.
    Refused,
}

impl Outcome {
    /// The outcome from one end.
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

    /// The outcome from both ends; `causes` are the causes of both.
    pub(super) fn with(self, other: Self, causes: [Option<Cause>; 2]) -> Self {
        let story = match (self.story, other.story) {
            (None, None) => None,
            (Some(one), Some(two)) => Some(one.max(two)),
            (Some(one), None) | (None, Some(one)) if one.is_sent() => Some(one),
            _ => Some(Story::of_other(causes)),
        };
        // Both ends are on this host, so the peer is this host.
        let story = story.map(|story| if story == Story::Peer { Story::ThisHost } else { story });
        Self {
            story,
            loss: self.loss.max(other.loss),
            talk: self.talk.max(other.talk),
            may_be_refused: false,
            at_server: true,
        }
    }

    /// The loss. `one_way`: clients there expect no answer.
    pub(super) fn lost(self, one_way: bool) -> Option<Kind> {
        self.story?;
        match (self.loss, self.talk) {
            (Loss::Client, _) => Some(Kind::Refused),
            (Loss::Data, _) => Some(Kind::Data),
            (_, Talk::Unanswered) if !one_way => Some(Kind::Unanswered),
            _ => None,
        }
    }

    /// Whether there was no exchange and no loss.
    pub(super) fn is_mute(self) -> bool {
        self.talk == Talk::Mute && self.loss <= Loss::Unknown
    }

    /// Whether the loss is unknown.
    pub(super) fn is_unknown(self) -> bool {
        self.story.is_some()
            && self.loss <= Loss::Unknown
            && (self.loss == Loss::Unknown || self.talk == Talk::Unknown)
    }
}
