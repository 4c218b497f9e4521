//! Facts about a socket that need several scans: how long it has been in its state, whether data moves on it, and whether
//! its program reads.

use std::collections::hash_map::Entry;

use super::{Sample, Seen};
use crate::model::{
    hash::HashMap,
    socket::{Info, Kind, Socket},
    state::State,
};

/// The sockets of the last scan but timewait sockets, by cookie.
#[derive(Default)]
pub struct Ages(HashMap<u64, Past>);

/// A socket at the last scan. Times are nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy)]
struct Past {
    /// The end of that scan.
    seen_ns: u64,
    state: State,
    /// The time since which it has been in its state, at the latest.
    since_ns: u64,
    /// Bytes that the peer acknowledged, and bytes that were received.
    moved: (u64, u64),
    /// The time since which no data has moved, at the latest; `None` where it is unknown.
    still_since_ns: Option<u64>,
    /// Received bytes that the program has not read.
    unread: u32,
    /// The time since which data has waited and none was read, at the latest.
    unread_since_ns: Option<u64>,
}

impl Ages {
    /// Raises the ages in a sample to those that earlier samples prove.
    pub fn apply(&mut self, sample: &mut Sample) {
        let now_ns = sample.ktime_ns;
        // The kernel reports the age of a timewait socket, and nothing moves on it. A busy host has very many of them.
        for seen in sample.sockets.iter_mut().filter(|seen| seen.socket.kind != Kind::TimeWait) {
            let past = match self.0.entry(seen.socket.cookie) {
                Entry::Occupied(mut known) => {
                    let past = Past::of(&seen.socket, now_ns, Some(known.get()));
                    *known.get_mut() = past;
                    past
                }
                Entry::Vacant(place) => *place.insert(Past::of(&seen.socket, now_ns, None)),
            };
            past.tell(seen, now_ns);
        }
        self.0.retain(|_, past| past.seen_ns == now_ns);
    }
}

impl Past {
    fn of(socket: &Socket, now_ns: u64, before: Option<&Self>) -> Self {
        let told = now_ns.saturating_sub(socket.age_at_least_ns.unwrap_or(0));
        let since_ns = match before {
            Some(before) if before.state == socket.state => told.min(before.since_ns),
            _ => told,
        };
        let info = socket.info.as_ref().filter(|_| socket.state != State::LISTEN);
        let moved = info.map_or((0, 0), |info| (info.bytes_acked, info.bytes_received));
        // The kernel's own times are valid also for the time before the first scan.
        let told = info.and_then(still_ns).map(|ns| now_ns.saturating_sub(ns));
        let same = before.filter(|before| info.is_some() && before.moved == moved);
        let still_since_ns = match (same, info) {
            (_, None) => None,
            // An earlier scan may have seen an acknowledgement, which the kernel's times do not show.
            (Some(before), _) => before.still_since_ns.or(told),
            // Data moved after the scan before. An acknowledgement comes later than the data that was sent.
            (None, _) => Some(told.unwrap_or(now_ns).max(before.map_or(0, |before| before.seen_ns))),
        };
        let unread = info.filter(|_| is_unread(socket));
        let same = before.filter(|before| before.read() == read(moved, socket.recv_queue));
        let unread_since_ns = unread.map(|info| {
            // The program reads the last data last, so other data has waited for at least as long.
            let told_ns = info.last_data_recv_ms.map_or(0, |ms| u64::from(ms) * 1_000_000);
            let told = now_ns.saturating_sub(told_ns);
            match (before, same) {
                (Some(_), None) => now_ns,
                // The program may have read since the last data came. Then the scan that noticed this has the better time.
                (_, same) => same.and_then(|before| before.unread_since_ns).unwrap_or(told),
            }
        });
        Self {
            seen_ns: now_ns,
            state: socket.state,
            since_ns,
            moved,
            still_since_ns,
            unread: socket.recv_queue,
            unread_since_ns,
        }
    }

    /// Bytes that the program had read.
    fn read(&self) -> u64 {
        read(self.moved, self.unread)
    }

    fn tell(self, seen: &mut Seen, now_ns: u64) {
        if self.since_ns < now_ns {
            seen.socket.age_at_least_ns = Some(now_ns - self.since_ns);
        }
        seen.still_ns = self.still_since_ns.map(|since| now_ns.saturating_sub(since));
        seen.unread_ns = self.unread_since_ns.map(|since| now_ns.saturating_sub(since));
    }
}

/// Bytes that the program has read, of those that came.
fn read((_, received): (u64, u64), unread: u32) -> u64 {
    received.saturating_sub(unread.into())
}

/// Whether data waits for the program. The peer's FIN counts as a byte (`rcv_nxt - copied_seq`).
fn is_unread(socket: &Socket) -> bool {
    let fin = matches!(socket.state, State::CLOSE_WAIT | State::LAST_ACK | State::CLOSING | State::TIME_WAIT);
    socket.recv_queue > u32::from(fin)
}

/// Nanoseconds for which no data has moved, by one scan alone: none was received, and none was sent.
fn still_ns(info: &Info) -> Option<u64> {
    let ms = match (info.last_data_recv_ms, info.last_data_sent_ms) {
        (Some(received_ms), Some(sent_ms)) => received_ms.min(sent_ms),
        // One direction never had data.
        (one, other) => one.or(other)?,
    };
    Some(u64::from(ms) * 1_000_000)
}
