//! Bytes that programs sent and received, from the kernel's counters.
//!
//! `bytes_acked` and `bytes_received` of `struct tcp_sock` count in sequence space, where SYN and FIN are a byte each:
//! `bytes_acked` has our SYN, if we connected (the child of a listener begins behind it, `tcp_create_openreq_child()`), and
//! our FIN once it is acknowledged; `bytes_received` has the peer's FIN, never its SYN. Which of them are in it follows from
//! states and roles, or the count is marked.

use tcptrace_common::EvidenceFlags;

use crate::model::{
    close::Role,
    errno::Errno,
    socket::{Info, Socket},
    state::State,
    transition::Transition,
};

/// A number of bytes of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The bytes; if not exact, a SYN or a FIN may be among them.
    pub bytes: u64,
    /// Whether it is exact.
    pub exact: bool,
}

impl Count {
    /// The data in a counter. The counter has another byte for each of `flags` that is true; `None` is a flag that may be
    /// counted.
    fn without(counter: u64, flags: &[Option<bool>]) -> Self {
        let certain = flags.iter().filter(|flag| **flag == Some(true)).count();
        let bytes = counter.saturating_sub(u64::try_from(certain).unwrap_or(u64::MAX));
        // With no byte left, no other flag can be among them.
        Self { bytes, exact: bytes == 0 || flags.iter().all(Option::is_some) }
    }

    /// The bytes, where they are certain.
    pub fn if_exact(self) -> Option<u64> {
        self.exact.then_some(self.bytes)
    }
}

/// Bytes and segments that a connection carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Data of the program here that the peer acknowledged.
    pub sent: Count,
    /// Data of the peer that arrived in order, whether the program here has read it or not.
    pub received: Count,
}

impl Payload {
    /// The payload of a connection that ends with this transition; `None` where there are no counters.
    pub fn of_end(end: &Transition) -> Option<Self> {
        let metrics = end.event.metrics?;
        let role = end.closing.as_ref().and_then(|closing| closing.role);
        let syn = role.map(|role| role == Role::Client);
        Some(Self {
            sent: Count::without(metrics.bytes_acked, &[syn, fin_is_acknowledged(end)]),
            received: Count::without(metrics.bytes_received, &[fin_has_come(end)]),
        })
    }

    /// The payload of a connection that goes on; `None` where there are no counters.
    pub fn of_socket(socket: &Socket) -> Option<Self> {
        let info = socket.info.as_ref()?;
        // Once the FIN is acknowledged, the socket leaves every other state in which it waits for that.
        let fin_sent = socket.state == State::FIN_WAIT2;
        let fin_received = matches!(socket.state, State::CLOSE_WAIT | State::LAST_ACK | State::CLOSING);
        Some(Self {
            sent: Count::without(info.bytes_acked, &[syn_is_counted(socket.state, info), Some(fin_sent)]),
            received: Count::without(info.bytes_received, &[Some(fin_received)]),
        })
    }
}

/// The role of an open connection, by its counters. After `connect()` here, the SYN is among the acknowledged bytes, and not
/// among those of data.
pub fn role(socket: &Socket) -> Option<Role> {
    let settled = !matches!(socket.state, State::SYN_SENT | State::SYN_RECV | State::LISTEN | State::CLOSE);
    let counted = syn_is_counted(socket.state, socket.info.as_ref().filter(|_| settled)?)?;
    Some(if counted { Role::Client } else { Role::Server })
}

/// Whether the SYN is counted. This is known only when no segment is unacknowledged, since such a segment can be data or a
/// FIN.
fn syn_is_counted(state: State, info: &Info) -> Option<bool> {
    if info.unacked > 0 {
        return None;
    }
    let data = info.bytes_sent?.checked_sub(info.bytes_retrans?)?;
    let fin = u64::from(state == State::FIN_WAIT2);
    match info.bytes_acked.checked_sub(data.checked_add(fin)?)? {
        0 => Some(false),
        1 => Some(true),
        // A segment that this host itself dropped is sent again, and the kernel counts it as if it was sent for the first
        // time.
        _ => None,
    }
}

/// Whether the peer acknowledged our FIN, by `tcp_rcv_state_process()`: the acknowledgement enters FIN_WAIT2. It leaves
/// LAST_ACK and CLOSING, unless something else ends them.
fn fin_is_acknowledged(end: &Transition) -> Option<bool> {
    let event = &end.event;
    match event.old_state {
        State::FIN_WAIT2 => Some(true),
        State::LAST_ACK | State::CLOSING if event.error? == 0 => {
            let reset = end.closing.as_ref().is_some_and(|closing| closing.reset_sent == Some(true));
            // An acknowledgement sets the count of retransmissions to 0.
            event.evidence.map(|evidence| evidence.retransmits == 0 && evidence.unsent == 0 && !reset)
        }
        State::LAST_ACK | State::CLOSING => match Errno(event.error?) {
            Errno::ECONNRESET | Errno::EPIPE | Errno::ETIMEDOUT | Errno::ECONNABORTED => Some(false),
            // The error may have been there for long.
            _ => None,
        },
        _ => Some(false),
    }
}

/// Whether the peer's FIN has arrived. `tcp_fin()` notes it at the socket.
fn fin_has_come(end: &Transition) -> Option<bool> {
    match (end.event.evidence, end.event.old_state) {
        (Some(evidence), _) => Some(evidence.flags & EvidenceFlags::DONE != 0),
        (None, State::CLOSE_WAIT | State::LAST_ACK | State::CLOSING) => Some(true),
        (None, State::FIN_WAIT2) => None,
        (None, _) => Some(false),
    }
}
