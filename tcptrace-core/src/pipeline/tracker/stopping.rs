//! Listeners that are being closed, so that the end of a child that nobody has accepted can be put to its listener's.

use std::collections::VecDeque;

use super::signals::HELD_UP_NS;
use crate::model::{event::Event, flow::LocalEnd, listening, state::State};

/// As many threads as may close a listener at the same moment.
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
    /// When it or the last one of these was closed.
    ktime_ns: u64,
}

impl Stopping {
    /// Takes in a transition to CLOSE. Whether it is that of a child of such a listener (`inet_csk_listen_stop()`).
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
        // Mostly there is none.
        while self.recent.front().is_some_and(|first| first.ktime_ns.saturating_add(HELD_UP_NS) < ktime_ns) {
            self.recent.pop_front();
        }
        let its = |stopped: &&mut Stopped| {
            let same_call = stopped.tid == tid && stopped.ktime_ns.abs_diff(ktime_ns) < HELD_UP_NS;
            same_call && listening::ends(local).any(|end| end == stopped.local)
        };
        let listener = self.recent.iter_mut().rev().find(its);
        // A queue may be long.
        listener.map(|stopped| stopped.ktime_ns = stopped.ktime_ns.max(ktime_ns)).is_some()
    }
}
