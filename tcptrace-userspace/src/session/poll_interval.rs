//! How often to poll the ring: rarely while nothing happens. Each poll wakes an idle CPU.

use std::time::Duration;

/// Interval at the start, until the first record came.
const EAGER: Duration = Duration::from_millis(5);
/// Interval while something happens. It is short enough to feel live. When more records come meanwhile than fit into
/// the cache, the kernel side wakes the reader.
const LIVELY: Duration = Duration::from_millis(50);

/// The reader sleeps after nothing has happened for this long, nanoseconds.
const SLEEPY_NS: u64 = 1_000_000_000;

/// State of the reader, between work and sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PollInterval {
    /// Something came at this time, nanoseconds of `CLOCK_MONOTONIC`.
    Awake(u64),
    /// The kernel side has the order to wake the reader. A record that was on its way at that moment has missed the
    /// order, so the ring is polled once more.
    Arming,
    /// The kernel side wakes the reader.
    Asleep,
}

impl PollInterval {
    /// The state after a poll that found `something`, or nothing at all.
    pub(super) fn after(self, now_ns: u64, something: bool) -> Self {
        match self {
            _ if something => Self::Awake(now_ns),
            Self::Awake(since_ns) if now_ns.saturating_sub(since_ns) >= SLEEPY_NS => Self::Arming,
            Self::Awake(_) => self,
            Self::Arming | Self::Asleep => Self::Asleep,
        }
    }

    /// How long from a poll to the next one; `None` when the kernel side wakes the reader. `taken`: records
    /// that the session has taken so far.
    pub(super) fn until_next(self, taken: u64) -> Option<Duration> {
        match self {
            Self::Asleep => None,
            _ if taken == 0 => Some(EAGER),
            _ => Some(LIVELY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_polls_once_more_before_it_sleeps() {
        let mut poll_interval = PollInterval::Awake(0);
        let mut after = |now_ns, something| {
            poll_interval = poll_interval.after(now_ns, something);
            poll_interval
        };
        assert_eq!(after(SLEEPY_NS - 1, false), PollInterval::Awake(0));
        assert_eq!(after(SLEEPY_NS, false), PollInterval::Arming);
        assert_eq!(after(SLEEPY_NS + 1, true), PollInterval::Awake(SLEEPY_NS + 1));
        assert_eq!(after(2 * SLEEPY_NS + 1, false), PollInterval::Arming);
        assert_eq!(after(2 * SLEEPY_NS + 2, false), PollInterval::Asleep);
        assert_eq!(after(9 * SLEEPY_NS, false), PollInterval::Asleep);
        assert_eq!(after(9 * SLEEPY_NS, true), PollInterval::Awake(9 * SLEEPY_NS));
    }

    #[test]
    fn it_looks_as_often_as_it_is_worth() {
        assert_eq!(PollInterval::Awake(0).until_next(0), Some(EAGER));
        assert_eq!(PollInterval::Arming.until_next(1), Some(LIVELY));
        assert_eq!(PollInterval::Asleep.until_next(0), None);
    }
}
