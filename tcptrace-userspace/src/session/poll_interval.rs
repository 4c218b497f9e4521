//! How often to look at the ring: rarely while nothing happens. Each look costs an idle processor its rest.

use std::time::Duration;

/// How often until there has been something to show, since a trace is new.
const EAGER: Duration = Duration::from_millis(5);
/// How often while something happens. Short enough to feel live; when so much comes meanwhile that it would not fit into the
/// cache any more, the kernel side wakes the reader.
const LIVELY: Duration = Duration::from_millis(50);

/// After nothing has happened for so long, the reader sleeps, nanoseconds.
const SLEEPY_NS: u64 = 1_000_000_000;

/// Where the reader is between work and sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Something came at this time, nanoseconds of `CLOCK_MONOTONIC`.
    Awake(u64),
    /// The kernel side has been told to wake it. A record that was on its way at that moment has not seen that: so there is
    /// one more look.
    Drowsy,
    /// It is woken.
    Asleep,
}

impl Pace {
    /// After a look that found `something`, or nothing at all.
    pub(super) fn after(self, now_ns: u64, something: bool) -> Self {
        match self {
            _ if something => Self::Awake(now_ns),
            Self::Awake(since_ns) if now_ns.saturating_sub(since_ns) >= SLEEPY_NS => Self::Drowsy,
            Self::Awake(_) => self,
            Self::Drowsy | Self::Asleep => Self::Asleep,
        }
    }

    /// How long from a look to the next one; `None` when the reader is woken. `shown`: of how many the trace has told.
    pub(super) fn look_every(self, shown: u64) -> Option<Duration> {
        match self {
            Self::Asleep => None,
            _ if shown == 0 => Some(EAGER),
            _ => Some(LIVELY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_once_more_before_it_sleeps() {
        let mut pace = Pace::Awake(0);
        let mut after = |now_ns, something| {
            pace = pace.after(now_ns, something);
            pace
        };
        assert_eq!(after(SLEEPY_NS - 1, false), Pace::Awake(0));
        assert_eq!(after(SLEEPY_NS, false), Pace::Drowsy);
        assert_eq!(after(SLEEPY_NS + 1, true), Pace::Awake(SLEEPY_NS + 1));
        assert_eq!(after(2 * SLEEPY_NS + 1, false), Pace::Drowsy);
        assert_eq!(after(2 * SLEEPY_NS + 2, false), Pace::Asleep);
        assert_eq!(after(9 * SLEEPY_NS, false), Pace::Asleep);
        assert_eq!(after(9 * SLEEPY_NS, true), Pace::Awake(9 * SLEEPY_NS));
    }

    #[test]
    fn it_looks_as_often_as_it_is_worth() {
        assert_eq!(Pace::Awake(0).look_every(0), Some(EAGER));
        assert_eq!(Pace::Drowsy.look_every(1), Some(LIVELY));
        assert_eq!(Pace::Asleep.look_every(0), None);
    }
}
