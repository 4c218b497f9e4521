//! Whether an end of a connection may still owe the other end an answer.

use super::{Sample, Seen};
use crate::model::socket::Kind;

/// Whether data waits that the program has not read. The peer's FIN counts as a byte.
pub(super) fn has_unread(seen: &Seen) -> bool {
    seen.socket.recv_queue > 1
}

/// Whether this is a server's end: a socket listens there. A client may keep a connection in a pool, and notice later that
/// its server has closed.
pub(super) fn is_server(sample: &Sample, seen: &Seen) -> bool {
    let socket = &seen.socket;
    sample.listeners(socket.flow.local_end()).next().is_some()
}

/// Whether this is a server's end whose peer may wait for an answer: the program has read the last data, and has sent
/// nothing since. A peer that has closed for good waits for nothing.
pub(super) fn owes_an_answer(sample: &Sample, seen: &Seen) -> bool {
    let Some(info) = seen.socket.info.filter(|_| !has_unread(seen)) else { return false };
    // A program that sent within the same tick of the kernel's clock has answered.
    let has_answered = info.last_data_sent_ms.is_some() && info.last_data_sent_ms == info.last_data_recv_ms;
    // The peer's FIN counts as a byte.
    let has_asked = info.bytes_received > 1 && seen.was_sent_to_last() && !has_answered;
    let is_gone = |other: &Seen| other.socket.kind != Kind::Full || other.socket.inode.is_none();
    has_asked && is_server(sample, seen) && !sample.other_end(&seen.socket).is_some_and(is_gone)
}

/// Whether this end may wait for an answer: it has sent data, and none was received since.
pub(super) fn awaits_an_answer(seen: &Seen) -> bool {
    let Some(info) = seen.socket.info else { return false };
    let Some(sent_ms) = info.last_data_sent_ms else { return false };
    info.last_data_recv_ms.is_none_or(|received_ms| sent_ms < received_ms)
}
