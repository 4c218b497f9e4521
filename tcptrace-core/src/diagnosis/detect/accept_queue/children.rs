//! Connections that are complete and not accepted yet: no process has them open, so they have no inode.

use super::super::{Sample, Seen, culprits::connection};
use crate::model::{
    flow::LocalEnd,
    hash::HashMap,
    socket::{Kind, Socket},
    state::State,
};

/// A connection that waits. Times are nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child {
    /// The time since which it waits, at the latest.
    pub(super) since_ns: u64,
    /// The scan that found it first.
    pub(super) found_ns: u64,
}

/// The connections that wait at one end.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    /// The connections with their cookies, the oldest first.
    pub(super) children: Vec<(Child, u64)>,
    /// Bytes that their clients have sent and that no program has read.
    pub(super) bytes: u64,
    /// The number of clients that have given up: they have closed.
    pub(super) gone: u64,
    /// The oldest connections, as examples.
    pub(super) samples: Vec<String>,
}

/// All connections that wait to be accepted.
#[derive(Default)]
pub(super) struct Children {
    known: HashMap<u64, Child>,
    pub(super) at: HashMap<LocalEnd, Waiting>,
}

/// The number of examples in a finding.
const SAMPLES: usize = 5;

fn waits(seen: &Seen) -> bool {
    let socket = &seen.socket;
    let is_complete = [State::ESTABLISHED, State::CLOSE_WAIT].contains(&socket.state);
    is_complete && socket.kind == Kind::Full && socket.inode.is_none() && !socket.mptcp
}

impl Children {
    pub(super) fn sample(&mut self, sample: &Sample) {
        let mut known = HashMap::default();
        let mut at: HashMap<LocalEnd, Waiting> = HashMap::default();
        let mut sockets: HashMap<u64, &Socket> = HashMap::default();
        for seen in sample.sockets.iter().filter(|seen| waits(seen)) {
            let socket = &seen.socket;
            let Some(end) = sample.listeners(socket.flow.local_end()).next() else {
                continue;
            };
            let since_ns = sample.ktime_ns.saturating_sub(socket.age_at_least_ns.unwrap_or(0));
            let before = self.known.get(&socket.cookie);
            let child = Child {
                since_ns: before.map_or(since_ns, |before| before.since_ns.min(since_ns)),
                found_ns: before.map_or(sample.ktime_ns, |before| before.found_ns),
            };
            known.insert(socket.cookie, child);
            let waiting = at.entry(end.local_end()).or_default();
            // The peer's FIN counts as a byte.
            let has_closed = socket.state == State::CLOSE_WAIT;
            waiting.children.push((child, socket.cookie));
            waiting.bytes += u64::from(socket.recv_queue.saturating_sub(u32::from(has_closed)));
            waiting.gone += u64::from(has_closed);
            sockets.insert(socket.cookie, socket);
        }
        for waiting in at.values_mut() {
            let in_order = |(child, cookie): &(Child, u64)| (child.since_ns, child.found_ns, *cookie);
            waiting.children.sort_unstable_by_key(in_order);
            let oldest = waiting.children.iter().take(SAMPLES);
            let sample_of = |(child, cookie): &(Child, u64)| {
                let socket = sockets.get(cookie)?;
                let age_at_least_ns = Some(sample.ktime_ns.saturating_sub(child.since_ns));
                Some(connection(&Socket { age_at_least_ns, ..(*socket).clone() }))
            };
            waiting.samples = oldest.filter_map(sample_of).collect();
        }
        (self.known, self.at) = (known, at);
    }
}
