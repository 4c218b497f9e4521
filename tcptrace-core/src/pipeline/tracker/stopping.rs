//! Listeners that are being closed, so that the tracker can explain the end of a child that no process has accepted by the
//! end of its listener.

use std::collections::VecDeque;

use super::signals::HELD_UP_NS;
use crate::model::{event::Event, flow::LocalEnd, listening, state::State};

/// The most listeners to remember: as many as threads may close at the same moment.
const MOST: usize = 64;

/// Listeners that were closed a moment ago; bounded.
#[derive(Default)]
pub(super) struct Stopping {
    recent: VecDeque<Stopped>,
}

struct Stopped {
    local: LocalEnd,
    /// The thread that closes it, and then, in the same call, its children.
    tid: u32,
    /// When the listener, or the last of its children, was closed.
    ktime_ns: u64,
}

impl Stopping {
    /// Takes a transition to CLOSE. Returns whether it is that of a child of such a listener (`inet_csk_listen_stop()`).
    pub(super) fn close(&mut self, event: &Event) -> bool {
        let (local, ktime_ns) = (event.flow.local_end(), event.ktime_ns);
        let tid = event.context.tid;
        if event.old_state == State::LISTEN {
            if self.recent.len() >= MOST {
                self.recent.pop_front();
            }
            self.recent.push_back(Stopped { local, tid, ktime_ns });
            return false;
        }
        // Mostly no listener is left.
        while self.recent.front().is_some_and(|first| first.ktime_ns.saturating_add(HELD_UP_NS) < ktime_ns) {
            self.recent.pop_front();
        }
        let its = |stopped: &&mut Stopped| {
            let same_call = stopped.tid == tid && stopped.ktime_ns.abs_diff(ktime_ns) < HELD_UP_NS;
            same_call && listening::ends(local).any(|end| end == stopped.local)
        };
        let listener = self.recent.iter_mut().rev().find(its);
        // The queue may be long, so each child extends the time for the next one.
        listener.map(|stopped| stopped.ktime_ns = stopped.ktime_ns.max(ktime_ns)).is_some()
    }
}
