//! How a connection ended.

use tcptrace_common::{CloseEvidence, EvidenceFlags, Fact};

use crate::{
    model::{
        close::{Cause, Closing, Role},
        transition::Transition,
    },
    output::fields::{
        table::fields,
        values::{Direction, Flat, Name, Object},
    },
};

/// Descriptions of the fields of an end, wherever these are.
pub(super) mod says {
    pub(in super::super) const ERROR: &str =
        "sk_err: a positive errno such as 104 (ECONNRESET), 0 for none; null when not known.";
    pub(in super::super) const CAUSE: &str = "Why it ended; docs/output.md explains each. null when the evidence is not enough. New ones may be added.";
    pub(in super::super) const RESET_REASON: &str = "The kernel's reason for the reset that this side sent (enum sk_rst_reason in lower case, Linux 6.10 and newer); null \
         when it sent none, or the kernel gave none. Escaped as comm is.";
    pub(in super::super) const LIFE: &str =
        "Whole microseconds from the socket's first transition; null when that was not seen.";
}

/// The end of a connection: the object `close` of a transition.
pub(in crate::output) struct Close<'a>(pub(in crate::output) &'a Transition);

impl<'a> Close<'a> {
    fn closing(&self) -> Option<&'a Closing> {
        self.0.closing.as_deref()
    }
}

fields! { "close", impl['a] for Close<'a>, |close|,
    "Each figure is null where the kernel's type information did not give its place, and when the transition is inferred.", {
    "error": Option<i32> [csv 0] = close.0.event.error, says::ERROR;
    "figures": Flat<Figures<'a>> [csv 0 ""] = Flat(Figures(close.0)), "";
    "cause": Option<Cause> [csv 1] = close.closing().and_then(|closing| closing.cause), says::CAUSE;
    "reset_reason": Option<Name<'a>> [csv 1] = close.closing().and_then(reset_reason), says::RESET_REASON;
    "role": Option<Role> [csv 1] = close.closing().and_then(|closing| closing.role),
        "Which part the socket had: it connected, came from a listener, or listened. null when its beginning was not seen.";
    "life_us": Option<u64> [csv 1] = close.closing().and_then(life_us), says::LIFE;
    "reset": Option<Direction> = close.closing().and_then(|closing| closing.reset_sent).map(direction),
        "Whether this side sent or received a reset as it ended; null when neither was seen, or resets are not \
         (`tcptrace doctor`).";
    "evidence": Option<Object<&'a CloseEvidence>> = close.0.event.evidence.as_ref().map(Object), "";
} }

/// The kernel's reason for the reset that this side sent.
pub(super) fn reset_reason(closing: &Closing) -> Option<Name<'_>> {
    closing.reset_reason.as_deref().map(|reason| Name(reason.as_bytes()))
}

/// Microseconds from the first transition.
pub(super) fn life_us(closing: &Closing) -> Option<u64> {
    closing.life_ns.map(|ns| ns / 1_000)
}

fn direction(sent: bool) -> Direction {
    if sent { Direction::Sent } else { Direction::Received }
}

/// The final figures of the end of a connection.
pub(in crate::output) struct Figures<'a>(pub(in crate::output) &'a Transition);

fields! { "figures", impl['a] for Figures<'a>, |figures|, "", {
    "bytes_acked": Option<u64> [csv 0] = figures.0.event.metrics.map(|metrics| metrics.bytes_acked),
        "Bytes that the peer acknowledged, in sequence space: our FIN counts as one, and so does the SYN of an active open.";
    "bytes_received": Option<u64> [csv 0] = figures.0.event.metrics.map(|metrics| metrics.bytes_received),
        "Bytes received in order, in sequence space: the peer's FIN counts as one.";
    "srtt_us": Option<u32> [csv 0] =
        figures.0.event.metrics.map(|metrics| metrics.srtt_us).filter(|srtt_us| *srtt_us != 0),
        "Smoothed round-trip time in microseconds; null when never measured.";
    "retransmits": Option<u32> [csv 0] = figures.0.retransmits(),
        "Segments retransmitted over the connection's life.";
} }

fields! { "evidence", impl[] for CloseEvidence, |evidence|,
    "What the socket said as it went to CLOSE, from which the cause is concluded; null where the kernel's type information did \
     not give its place. Each fact is null where the kernel does not have it.", {
    "segs_out": u32 = evidence.segs_out, "Segments sent.";
    "unsent": u32 = evidence.unsent, "Bytes written and never sent.";
    "unread": u32 = evidence.unread,
        "Bytes received that the program did not read; the peer's FIN counts as one.";
    "shutdown": u8 = evidence.shutdown,
        "sk_shutdown: 1 does not receive, 2 does not send, 3 neither, as after close().";
    "fin_received": bool = evidence.flags & EvidenceFlags::DONE != 0, "The peer's FIN has come.";
    "linger_zero": bool = evidence.flags & EvidenceFlags::LINGER_ZERO != 0, "SO_LINGER with a time of 0.";
    "repair": Option<bool> = evidence.fact(Fact::Repair), "TCP_REPAIR is on: nothing is sent.";
    "deferred": Option<bool> = evidence.fact(Fact::Deferred),
        "connect() with TCP_FASTOPEN_CONNECT has left the SYN to the first write, which has not come.";
    "listened": Option<bool> = evidence.fact(Fact::Listened), "A listen() of this socket has succeeded.";
    "bound": Option<bool> = evidence.fact(Fact::Bound),
        "The socket keeps its port: bind() chose it, or the kernel closed it before it was in use.";
    "sequenced": Option<bool> = evidence.fact(Fact::Sequenced),
        "The socket has had an initial sequence number: connect() found its ends free.";
} }
