//! The cause of a connection's end, concluded from its last transition.
//!
//! This module is pure: it takes what the kernel's event and the socket show, and returns the cause. Each cause needs
//! evidence of its own; the exclusion of all other causes is no evidence. The order of the evidence: the socket's error, the
//! kernel's reason for the reset that was sent in that call, the call that acts, and what that call found (unread data,
//! linger, port). Function names are those of `net/ipv4/`.

use tcptrace_common::{CloseEvidence, EvidenceFlags, Fact};

use crate::model::{
    close::{Cause, Role},
    errno::Errno,
    event::Event,
    state::State,
};

/// A transition to CLOSE, and the evidence before and beside it.
pub(super) struct Ending<'a> {
    pub(super) event: &'a Event,
    pub(super) role: Option<Role>,
    /// The process that sent the first FIN was ending.
    pub(super) exited: bool,
    /// The socket is a listener that had listened before, so that [`Fact::Listened`] is no evidence.
    pub(super) listens_again: bool,
    pub(super) surroundings: Surroundings<'a>,
}

/// Evidence beside the socket's own transitions.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Surroundings<'a> {
    /// Whether the socket's reset of that moment was sent, rather than received; `None` where there was no reset.
    pub(super) reset_sent: Option<bool>,
    /// The kernel's name of the reason for the sent reset.
    pub(super) reset_reason: Option<&'a str>,
    /// Resets are reported: without one, none was sent.
    pub(super) resets_are_seen: bool,
    /// The process that acts is known to have the socket open.
    pub(super) by_holder: bool,
    /// The socket was destroyed from outside, which the socket itself does not show yet.
    pub(super) aborted: bool,
    /// The socket's listener was closed in the same call.
    pub(super) listener_closed: bool,
}

/// `RCV_SHUTDOWN | SEND_SHUTDOWN`: `tcp_close()` sets both before anything else.
pub(super) const SHUTDOWN_MASK: u8 = 3;

/// The cause; `None` when the evidence is not enough.
pub(super) fn cause(ending: &Ending<'_>) -> Option<Cause> {
    let error = ending.event.error?;
    if ending.surroundings.aborted {
        return Some(Cause::Killed);
    }
    if error == 0 {
        return without_error(ending);
    }
    match Errno(error) {
        // tcp_reset(), or tcp_v4_err() or tcp_v6_err() by an ICMP port unreachable
        Errno::ECONNREFUSED if ending.event.old_state == State::SYN_SENT => Some(Cause::Refused),
        Errno::EPIPE if ending.event.old_state == State::CLOSE_WAIT => Some(Cause::ResetByPeer),
        Errno::ECONNRESET => reset(ending),
        // tcp_abort()
        Errno::ECONNABORTED => Some(Cause::Killed),
        // tcp_v4_err() or tcp_v6_err(), or tcp_write_err() with an error that came before. "Administratively prohibited" is
        // EHOSTUNREACH by ICMP, and EACCES by ICMPv6 (tab_unreach). A rule of this host that denies connect() does so before
        // SYN_SENT, and leaves no error at the socket.
        Errno::EHOSTUNREACH | Errno::EACCES => Some(Cause::HostUnreachable),
        Errno::ENETUNREACH => Some(Cause::NetUnreachable),
        Errno::ETIMEDOUT => timeout(ending),
        _ => None,
    }
}

/// The cause after `tcp_reset()`. The kernel calls it for a reset of the peer, but also for data of the peer after this
/// side's `close()`, which the kernel answers by a reset of its own.
fn reset(ending: &Ending<'_>) -> Option<Cause> {
    match ending.surroundings.reset_sent {
        Some(true) => Some(Cause::ResetByKernel),
        None if takes_no_data(ending.event) => None,
        _ => Some(Cause::ResetByPeer),
    }
}

/// Whether this side is closed, and the peer may still send.
fn takes_no_data(event: &Event) -> bool {
    matches!(event.old_state, State::FIN_WAIT1 | State::FIN_WAIT2)
        && event.evidence.is_none_or(|evidence| {
            evidence.shutdown == SHUTDOWN_MASK && evidence.flags & EvidenceFlags::DONE == 0
        })
}

/// `tcp_write_timeout()`, `tcp_probe_timer()` or `tcp_keepalive_timer()`.
fn timeout(ending: &Ending<'_>) -> Option<Cause> {
    if ending.event.old_state == State::SYN_SENT {
        return Some(Cause::ConnectTimeout);
    }
    let evidence = ending.event.evidence?;
    if evidence.user_timeout_ms > 0 {
        return Some(Cause::UserTimeout);
    }
    match evidence {
        CloseEvidence { retransmits: 1.., .. } | CloseEvidence { probes_out: 1.., unsent: 1.., .. } => {
            Some(Cause::RetransmissionTimeout)
        }
        CloseEvidence { probes_out: 1.., .. } => Some(Cause::KeepaliveTimeout),
        _ => None,
    }
}

fn without_error(ending: &Ending<'_>) -> Option<Cause> {
    let Ending { event, surroundings, .. } = ending;
    // A process that ends closes its open sockets. The end of the process explains more than the effects of these closes.
    let by_exit = event.context_owns && event.context.exiting;
    if is_second_child(ending) {
        return Some(Cause::SecondChild);
    }
    if let Some(cause) = by_reason(ending, by_exit) {
        return Some(cause);
    }
    if is_repaired(event) {
        return Some(Cause::RepairClose);
    }
    match event.old_state {
        State::LISTEN => listener(ending, by_exit),
        State::SYN_SENT => connecting(event, by_exit),
        State::LAST_ACK if !(event.context_owns && surroundings.reset_sent == Some(true)) => {
            Some(Cause::PassiveClose)
        }
        State::FIN_WAIT2 | State::CLOSING if was_reset(ending) == Some(false) => {
            Some(match event.old_state {
                State::CLOSING => Cause::SimultaneousClose,
                _ if ending.exited => Cause::ProcessExited,
                _ => Cause::ActiveClose,
            })
        }
        _ if by_exit => Some(Cause::ProcessExited),
        _ if event.context_owns => aborted(ending, event.evidence?),
        // tcp_rcv_state_process(): data for a socket that is closed already.
        State::FIN_WAIT1 | State::FIN_WAIT2 | State::CLOSING => {
            let was_reset =
                surroundings.reset_sent == Some(true) || (!surroundings.resets_are_seen && is_closed(event));
            was_reset.then_some(Cause::ResetByKernel)
        }
        // inet_csk_listen_stop() does not own the lock of the children that it throws away.
        State::SYN_RECV | State::ESTABLISHED | State::CLOSE_WAIT => {
            let is_child = ending.role != Some(Role::Client) && event.context.in_process == Some(false);
            (is_child && surroundings.listener_closed).then_some(Cause::ListenerClosed)
        }
        _ => None,
    }
}

/// Whether the socket was closed by `close()`, rather than by `shutdown()` or `connect()` to `AF_UNSPEC`; `false` also where
/// that is not known.
fn is_closed(event: &Event) -> bool {
    event.evidence.is_some_and(|evidence| evidence.shutdown == SHUTDOWN_MASK)
}

fn fact(event: &Event, fact: Fact) -> Option<bool> {
    event.evidence?.fact(fact)
}

/// Whether `inet_ehash_nolisten()` found the other child of the same request in the table. That function sets the state
/// without `tcp_set_state()`, which would have released the port: a child has not chosen its port by `bind()`.
fn is_second_child(ending: &Ending<'_>) -> bool {
    let event = ending.event;
    event.old_state == State::SYN_RECV
        && ending.role == Some(Role::Server)
        && !event.context_owns
        && ending.surroundings.reset_sent.is_none()
        && fact(event, Fact::Bound) == Some(true)
}

/// The cause by the kernel's own reason for the reset that it sent, where the reason is specific. For `SO_LINGER` 0,
/// `AF_UNSPEC` and others the reason is only `tcp_state`.
fn by_reason(ending: &Ending<'_>, by_exit: bool) -> Option<Cause> {
    match ending.surroundings.reset_reason? {
        "tcp_abort_on_memory" | "tcp_abort_on_data" => Some(Cause::ResetByKernel),
        "tcp_abort_on_close" | "tcp_abort_on_linger" if by_exit => Some(Cause::ProcessExited),
        "tcp_abort_on_close" => Some(Cause::ResetUnread),
        "tcp_abort_on_linger" => Some(Cause::ResetLinger),
        _ => None,
    }
}

/// Whether `tcp_disconnect()` ran under `TCP_REPAIR`, where it sends nothing. A `connect()` that fails does not get there,
/// and a listener closes like any other.
fn is_repaired(event: &Event) -> bool {
    event.context_owns
        && fact(event, Fact::Repair) == Some(true)
        && event.old_state != State::LISTEN
        && (event.old_state != State::SYN_SENT || is_closed(event))
}

/// The cause of a listener's end: its `listen()` fails in `inet_csk_listen_start()`, or a process that has the listener ends
/// it.
fn listener(ending: &Ending<'_>, by_exit: bool) -> Option<Cause> {
    let has_listened = fact(ending.event, Fact::Listened);
    if has_listened == Some(false) {
        return Some(Cause::AddressInUse);
    }
    if by_exit {
        return Some(Cause::ProcessExited);
    }
    // shutdown() leaves no trace at a listener; neither does a listen() that fails at one that has listened before.
    let by_shutdown = ending.surroundings.by_holder && has_listened == Some(true) && !ending.listens_again;
    (is_closed(ending.event) || by_shutdown).then_some(Cause::StoppedListening)
}

/// The cause of an end in SYN_SENT. `connect()` changes the state before it chooses a port and sends the SYN. With
/// `TCP_FASTOPEN_CONNECT` it sends no SYN either, and leaves that to the first `write()`: such a socket goes on until its
/// process gives it up.
fn connecting(event: &Event, by_exit: bool) -> Option<Cause> {
    if !event.context_owns {
        return None;
    }
    let given_up = if by_exit { Cause::ProcessExited } else { Cause::ConnectCancelled };
    let Some(evidence) = event.evidence else {
        return (event.flow.local.port == 0).then_some(Cause::NoLocalPort);
    };
    if evidence.segs_out > 0 || is_closed(event) || fact(event, Fact::Deferred) == Some(true) {
        return Some(given_up);
    }
    let has_number = fact(event, Fact::Sequenced);
    if event.flow.local.port == 0 && has_number != Some(true) {
        return Some(Cause::NoLocalPort);
    }
    // __inet_check_established() comes before the initial sequence number, and everything else that may fail comes after it.
    (fact(event, Fact::Bound) == Some(true) && has_number == Some(false)).then_some(Cause::EndsInUse)
}

/// Whether a connection on which this side has sent its FIN ends with a reset of this side: a reset was seen, or
/// `tcp_close()` finds a reason to send one. Where the peer's FIN has come, `tcp_close()` finds no such reason any more.
/// `None` when `tcp_close()` would have to send a reset, and none was seen.
fn was_reset(ending: &Ending<'_>) -> Option<bool> {
    let at_close = ending.event.evidence.is_some_and(|evidence| {
        let reason = evidence.unread > 0 || evidence.flags & EvidenceFlags::LINGER_ZERO != 0;
        reason && evidence.shutdown == SHUTDOWN_MASK && evidence.flags & EvidenceFlags::DONE == 0
    });
    let must = ending.event.context_owns && at_close;
    match ending.surroundings.reset_sent {
        Some(true) => Some(true),
        _ if must && ending.surroundings.resets_are_seen => None,
        _ => Some(must),
    }
}

/// The cause when a process calls `tcp_close()` or `tcp_disconnect()`, with a reset. `tcp_close()` checks for unread data
/// first.
fn aborted(ending: &Ending<'_>, evidence: CloseEvidence) -> Option<Cause> {
    let Surroundings { reset_sent, reset_reason, resets_are_seen, .. } = ending.surroundings;
    if !reset_sent.unwrap_or(!resets_are_seen) {
        return None;
    }
    if evidence.shutdown != SHUTDOWN_MASK {
        return Some(Cause::ResetDisconnect);
    }
    // The peer's FIN counts as one unread byte.
    let unread = evidence.unread > u32::from(evidence.flags & EvidenceFlags::DONE != 0);
    if unread && reset_reason.is_none() {
        return Some(Cause::ResetUnread);
    }
    (evidence.flags & EvidenceFlags::LINGER_ZERO != 0).then_some(Cause::ResetLinger)
}
