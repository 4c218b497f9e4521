//! Why a connection ended, concluded from its last transition.
//!
//! Pure: what the kernel's event and the socket said in, the cause out. Function names are those of `net/ipv4/`.

use nix::errno::Errno;
use tcptrace_common::{CloseEvidence, EvidenceFlags};

use crate::{
    close::{Cause, Role},
    event::Event,
    state::State,
};

/// A transition to CLOSE, and what was before.
pub(super) struct Ending<'a> {
    pub(super) event: &'a Event,
    pub(super) in_old_state_ns: Option<u64>,
    pub(super) role: Option<Role>,
    /// The process that sent the first FIN was ending.
    pub(super) exited: bool,
    /// Whether a reset that there was for the socket at that moment was sent, rather than received.
    pub(super) reset_sent: Option<bool>,
}

/// `listen()` on an address in use enters LISTEN and leaves it again within the same system call.
const SAME_CALL_NS: u64 = 1_000_000;

/// `RCV_SHUTDOWN | SEND_SHUTDOWN`: `tcp_close()` sets both before anything else.
const SHUTDOWN_MASK: u8 = 3;

/// The cause; `None` when the evidence is not enough.
pub(super) fn cause(ending: &Ending<'_>) -> Option<Cause> {
    let error = ending.event.error?;
    if error == 0 {
        return without_error(ending);
    }
    match Errno::from_raw(error) {
        // tcp_reset(), or tcp_v4_err() or tcp_v6_err() by an ICMP port unreachable
        Errno::ECONNREFUSED if ending.event.old_state == State::SYN_SENT => Some(Cause::Refused),
        Errno::EPIPE if ending.event.old_state == State::CLOSE_WAIT => Some(Cause::ResetByPeer),
        Errno::ECONNRESET => reset(ending),
        // tcp_abort()
        Errno::ECONNABORTED => Some(Cause::Killed),
        // tcp_v4_err() or tcp_v6_err(), or tcp_write_err() with an error that came before. What is "administratively
        // prohibited" is EHOSTUNREACH by ICMP, and EACCES by ICMPv6 (tab_unreach). What denies connect() on this host does
        // so before SYN_SENT, and leaves no error at the socket.
        Errno::EHOSTUNREACH | Errno::EACCES => Some(Cause::HostUnreachable),
        Errno::ENETUNREACH => Some(Cause::NetUnreachable),
        Errno::ETIMEDOUT => timeout(ending),
        _ => None,
    }
}

/// `tcp_reset()`, for a reset of the peer, but also for its data after this side's `close()`, to which the kernel answers
/// by one of its own.
fn reset(ending: &Ending<'_>) -> Option<Cause> {
    match ending.reset_sent {
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
    let event = ending.event;
    // A process that ends closes what it has open; what that leads to says less than that it ended.
    let by_exit = event.context_owns && event.context.exiting;
    match event.old_state {
        State::LISTEN if in_use(ending) => Some(Cause::AddressInUse),
        State::LISTEN if by_exit => Some(Cause::ProcessExited),
        State::LISTEN => Some(Cause::StoppedListening),
        State::SYN_SENT if !event.context_owns => None,
        State::SYN_SENT if never_sent(event) => Some(Cause::NoLocalPort),
        State::SYN_SENT if by_exit => Some(Cause::ProcessExited),
        State::SYN_SENT => Some(Cause::ConnectCancelled),
        State::LAST_ACK => Some(Cause::PassiveClose),
        State::FIN_WAIT2 | State::CLOSING if !is_reset(ending) => Some(match event.old_state {
            State::CLOSING => Cause::SimultaneousClose,
            _ if ending.exited => Cause::ProcessExited,
            _ => Cause::ActiveClose,
        }),
        _ if by_exit => Some(Cause::ProcessExited),
        _ if event.context_owns => Some(aborted(event.evidence?)),
        // tcp_rcv_state_process(): data for a socket that is closed already.
        State::FIN_WAIT1 | State::FIN_WAIT2 | State::CLOSING => Some(Cause::ResetByKernel),
        // inet_csk_listen_stop() does not own the lock of the children that it throws away.
        State::SYN_RECV | State::ESTABLISHED | State::CLOSE_WAIT => {
            let by_listener = event.context.in_process == Some(false) && ending.role != Some(Role::Client);
            (by_listener && !event.context.is_bystander()).then_some(Cause::ListenerClosed)
        }
        _ => None,
    }
}

/// `inet_csk_listen_start()` found the port taken: neither `close()` nor `shutdown()` is as fast.
fn in_use(ending: &Ending<'_>) -> bool {
    let closed = ending.event.evidence.is_none_or(|evidence| evidence.shutdown == SHUTDOWN_MASK);
    !closed && ending.in_old_state_ns.is_some_and(|ns| ns < SAME_CALL_NS)
}

/// `connect()` changes the state before it looks for a port and sends the SYN. With `TCP_FASTOPEN_CONNECT` it sends
/// none either, and leaves that to the first `write()`: such a socket goes on until its process closes it.
fn never_sent(event: &Event) -> bool {
    event
        .evidence
        .map_or(event.lport == 0, |evidence| evidence.segs_out == 0 && evidence.shutdown != SHUTDOWN_MASK)
}

/// Whether a connection on which this side has sent its FIN ends with a reset of this side: one was seen, or
/// `tcp_close()` finds what makes it send one. Where the peer's FIN has come, it has nothing more to find.
fn is_reset(ending: &Ending<'_>) -> bool {
    let at_close = ending.event.evidence.is_some_and(|evidence| {
        let reason = evidence.unread > 0 || evidence.flags & EvidenceFlags::LINGER_ZERO != 0;
        reason && evidence.shutdown == SHUTDOWN_MASK && evidence.flags & EvidenceFlags::DONE == 0
    });
    ending.reset_sent == Some(true) || (ending.event.context_owns && at_close)
}

/// `tcp_close()` or `tcp_disconnect()` of a process, with a reset.
fn aborted(evidence: CloseEvidence) -> Cause {
    if evidence.shutdown != SHUTDOWN_MASK {
        Cause::ResetDisconnect
    } else if evidence.flags & EvidenceFlags::LINGER_ZERO != 0 {
        Cause::ResetLinger
    } else {
        Cause::ResetUnread
    }
}
