//! The evidence of one end of a connection: whether a reset lost something, and how much was exchanged before.
//!
//! `bytes_acked` counts the SYN of `connect()`, and a FIN that was acknowledged; `bytes_received` counts a FIN. Data on the
//! way is in neither. The kernel does not process the acknowledgement in a reset (`tcp_validate_incoming()`), so an answer
//! that was read may appear as never received. The client's end has the correct evidence.

use tcptrace_common::{CloseEvidence, EvidenceFlags};

use crate::model::{
    close::{Cause, Closing, Role},
    state::State,
    transition::Transition,
};

/// The exchange over a connection, as far as one end shows it. The fuller exchange is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Talk {
    /// Not known.
    #[default]
    Unknown,
    /// The client sent no request, as in a check that a port is open.
    Mute,
    /// The client sent a request, and received nothing.
    Unanswered,
    /// The client received an answer.
    Answered,
}

/// The loss by a reset, apart from a missing answer. The worse loss is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Loss {
    /// Nothing was outstanding.
    #[default]
    Nothing,
    /// The kernel does not report it.
    Unknown,
    /// Data that was never sent, acknowledged, or read.
    Data,
    /// The connection itself: no process had accepted it.
    Client,
}

/// Bytes of the program that were acknowledged, and bytes that were received for it.
fn bytes(transition: &Transition, closing: &Closing) -> Option<(u64, u64)> {
    let event = &transition.event;
    let metrics = event.metrics?;
    let has_fin = event.evidence.is_some_and(|evidence| evidence.flags & EvidenceFlags::DONE != 0)
        || matches!(event.old_state, State::CLOSE_WAIT | State::LAST_ACK | State::CLOSING);
    let syn = u64::from(closing.role != Some(Role::Server));
    let fin = u64::from(
        event.old_state == State::FIN_WAIT2
            || (event.old_state == State::LAST_ACK && closing.cause == Some(Cause::PassiveClose)),
    );
    Some((
        metrics.bytes_acked.saturating_sub(syn + fin),
        metrics.bytes_received.saturating_sub(u64::from(has_fin)),
    ))
}

/// A SYN and the acknowledgement of its answer.
const HANDSHAKE: u32 = 2;

/// The exchange over the connection.
pub(super) fn talk(transition: &Transition, closing: &Closing) -> Talk {
    let Some((sent, received)) = bytes(transition, closing) else { return Talk::Unknown };
    let event = &transition.event;
    let segments = event.evidence.map(|evidence| evidence.segs_out);
    match closing.role {
        Some(Role::Client) if received > 0 => Talk::Answered,
        Some(Role::Client) if sent > 0 => Talk::Unanswered,
        Some(Role::Client) => {
            // The peer may reset before it has acknowledged any of the request.
            let again = event.metrics.map_or(0, |metrics| metrics.retransmits);
            let asked = segments.is_some_and(|segments| segments.saturating_sub(again) > HANDSHAKE);
            let is_open = event.old_state == State::ESTABLISHED;
            if asked && is_open && closing.cause == Some(Cause::ResetByPeer) {
                Talk::Unanswered
            } else {
                Talk::Mute
            }
        }
        Some(Role::Server) if sent > 0 => Talk::Answered,
        Some(Role::Server) if received == 0 => Talk::Mute,
        // A FIN acknowledges the data before it; a single segment is the acknowledgement of the request.
        Some(Role::Server)
            if matches!(event.old_state, State::CLOSE_WAIT | State::LAST_ACK)
                || segments.is_some_and(|segments| segments <= 1) =>
        {
            Talk::Unanswered
        }
        _ => Talk::Unknown,
    }
}

/// The loss by a reset; `sent`: whether this end sent it.
pub(super) fn loss(transition: &Transition, closing: &Closing, sent: bool) -> Loss {
    if closing.cause == Some(Cause::ListenerClosed) {
        return Loss::Client;
    }
    let event = &transition.event;
    let Some(evidence) = event.evidence else { return Loss::Unknown };
    let has_fin = evidence.flags & EvidenceFlags::DONE != 0;
    let unread = evidence.unread.saturating_sub(u32::from(has_fin));
    // After a reset by the other end, received data can still be read (tcp_recvmsg()).
    let thrown_away = sent && unread > 0 && !is_left_by_choice(transition, closing, evidence, unread);
    let is_sending = matches!(event.old_state, State::ESTABLISHED | State::CLOSE_WAIT);
    let unsent = evidence.unsent > 0 || (is_sending && evidence.retransmits > 0);
    let no_memory = closing.reset_reason.as_deref().is_some_and(|reason| reason.contains("memory"));
    if thrown_away || unsent || no_memory { Loss::Data } else { Loss::Nothing }
}

/// Whether a client leaves data unread on purpose. It resets by `SO_LINGER`, as a check over TLS that ignores session
/// tickets does; or it has sent no request, and does not read the greeting.
fn is_left_by_choice(
    transition: &Transition,
    closing: &Closing,
    evidence: CloseEvidence,
    unread: u32,
) -> bool {
    let is_greeting =
        bytes(transition, closing).is_some_and(|(sent, received)| sent == 0 && received == u64::from(unread));
    closing.role == Some(Role::Client) && (evidence.flags & EvidenceFlags::LINGER_ZERO != 0 || is_greeting)
}
