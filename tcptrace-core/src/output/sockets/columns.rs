//! Parts of a line for people.

use std::fmt;

use crate::model::{socket::Timer, text::Span};

/// A span that is not known to the nanosecond: `212ms`, `12s`, `4m12s`, `2h03m`.
pub(super) struct Rough(pub(super) u64);

impl fmt::Display for Rough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..1_000_000_000 => write!(f, "{}ms", self.0 / 1_000_000),
            1_000_000_000..60_000_000_000 => write!(f, "{}s", self.0 / 1_000_000_000),
            longer => Span(longer).fmt(f),
        }
    }
}

/// `>=3m00s`; `-` when nothing is known.
pub(super) struct AtLeast(pub(super) Option<u64>);

impl fmt::Display for AtLeast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(ns) => write!(f, ">={}", Rough(ns)),
            None => f.write_str("-"),
        }
    }
}

/// A timer in the form of `ss -o`: its purpose, the time left, and how often it ended without an answer.
pub(super) struct Running(pub(super) Option<Timer>);

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("-"),
            Some(Timer { kind, expires_ms, retransmits }) => {
                write!(f, "{kind},{},{retransmits}", Rough(u64::from(expires_ms) * 1_000_000))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::socket::TimerKind;

    #[test]
    fn ages_and_timers() {
        let ages = [Some(12_900_000_000), Some(180_000_000_000), Some(0), None];
        assert_eq!(ages.map(|age| AtLeast(age).to_string()), [">=12s", ">=3m00s", ">=0ms", "-"]);
        let timer = |kind, expires_ms| Running(Some(Timer { kind, expires_ms, retransmits: 3 })).to_string();
        assert_eq!(timer(TimerKind::On, 212), "on,212ms,3");
        assert_eq!(timer(TimerKind::Keepalive, 7_140_000), "keepalive,1h59m,3");
        assert_eq!(Running(None).to_string(), "-");
    }
}
