//! Conversion from the kernel's monotonic clock to the time of day.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};

/// A fixed relation between `CLOCK_MONOTONIC` and the time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Nanoseconds to add to a monotonic time to get nanoseconds since 1970 (UTC).
    pub(crate) offset_ns: i128,
}

impl Clock {
    /// A given relation, for replays and tests.
    pub const fn with_offset(offset_ns: i128) -> Self {
        Self { offset_ns }
    }

    /// The time of day of a monotonic time. Times out of range become the nearest one that [`Timestamp`] can represent.
    pub fn time(&self, ktime_ns: u64) -> Timestamp {
        let bounded =
            self.nanoseconds(ktime_ns).clamp(Timestamp::MIN.as_nanosecond(), Timestamp::MAX.as_nanosecond());
        Timestamp::from_nanosecond(bounded).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// How far its time of day is ahead of that of `other`, in nanoseconds.
    pub(super) const fn ahead_of(self, other: Self) -> i128 {
        self.offset_ns.saturating_sub(other.offset_ns)
    }

    /// Nanoseconds since 1970, also for times out of range.
    fn nanoseconds(&self, ktime_ns: u64) -> i128 {
        i128::from(ktime_ns).saturating_add(self.offset_ns)
    }
}

const SECOND_NS: u64 = 1_000_000_000;

/// Formats times of day. Thousands of times share a second, so the text up to the second is made once and kept.
#[derive(Clone, Debug)]
pub struct TimeFormat {
    clock: Clock,
    /// Local time of day in this zone; without one, RFC 3339 in UTC.
    zone: Option<TimeZone>,
    /// The monotonic time at which the second in `text` began; `None` when that second has no monotonic time.
    begun_ns: Option<u64>,
    text: String,
    /// Bytes of `text` up to the second.
    whole: usize,
    /// The fraction in `text` behind the second; `None` when it is not known.
    digits: Option<u64>,
}

impl TimeFormat {
    /// RFC 3339 in UTC with nine digits of nanoseconds.
    pub fn rfc3339(clock: Clock) -> Self {
        Self { clock, zone: None, begun_ns: None, text: String::new(), whole: 0, digits: None }
    }

    /// Hours, minutes and seconds in `zone`, with milliseconds.
    pub fn time_of_day(clock: Clock, zone: TimeZone) -> Self {
        Self { zone: Some(zone), ..Self::rfc3339(clock) }
    }

    /// Sets the relation that times use from now on.
    pub fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
        self.begun_ns = None;
    }

    /// The text of a monotonic time.
    pub fn format(&mut self, ktime_ns: u64) -> &str {
        let within = self.begun_ns.and_then(|begun_ns| ktime_ns.checked_sub(begun_ns));
        let fraction = match within.filter(|ns| *ns < SECOND_NS) {
            Some(fraction) => fraction,
            None => self.begin(ktime_ns),
        };
        // The leading one keeps the zeros of the digits.
        let digits = match self.zone {
            None => SECOND_NS + fraction,
            Some(_) => 1_000 + fraction / 1_000_000,
        };
        if self.digits != Some(digits) {
            self.digits = Some(digits);
            self.text.truncate(self.whole);
            self.text.push('.');
            self.text.push_str(&itoa::Buffer::new().format(digits)[1..]);
            if self.zone.is_none() {
                self.text.push('Z');
            }
        }
        &self.text
    }

    /// Begins the second of this time. Returns the nanoseconds within that second.
    fn begin(&mut self, ktime_ns: u64) -> u64 {
        let time = self.clock.time(ktime_ns);
        let fraction = time.as_nanosecond().rem_euclid(i128::from(SECOND_NS));
        let fraction = u64::try_from(fraction).unwrap_or(0);
        // Times out of range all become the nearest representable one.
        let is_exact = time.as_nanosecond() == self.clock.nanoseconds(ktime_ns);
        self.begun_ns = ktime_ns.checked_sub(fraction).filter(|_| is_exact);
        let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
        let local = time.to_zoned(zone);
        self.text.clear();
        let (h, m, s) = (local.hour(), local.minute(), local.second());
        let _ = match self.zone {
            None => write!(self.text, "{}T{h:02}:{m:02}:{s:02}", local.date()),
            Some(_) => write!(self.text, "{h:02}:{m:02}:{s:02}"),
        };
        self.whole = self.text.len();
        self.digits = None;
        fraction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_carries_nine_digits_and_crosses_seconds() {
        let mut format = TimeFormat::rfc3339(Clock::with_offset(1_790_000_000_000_000_000));
        assert_eq!(format.format(1), "2026-09-21T14:13:20.000000001Z");
        assert_eq!(format.format(999_999_999), "2026-09-21T14:13:20.999999999Z");
        assert_eq!(format.format(1_000_000_000), "2026-09-21T14:13:21.000000000Z");
        assert_eq!(format.format(0), "2026-09-21T14:13:20.000000000Z");
    }

    #[test]
    fn a_clock_that_was_set_shows_at_once() {
        let mut format = TimeFormat::rfc3339(Clock::with_offset(0));
        assert_eq!(format.format(500_000_000), "1970-01-01T00:00:00.500000000Z");
        format.set_clock(Clock::with_offset(3_600_000_000_000));
        assert_eq!(format.format(500_000_000), "1970-01-01T01:00:00.500000000Z");
    }

    #[test]
    fn time_of_day_in_a_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let mut format = TimeFormat::time_of_day(Clock::with_offset(0), zone);
        assert_eq!(format.format(3_600_123_456_789), "03:00:00.123");
    }

    #[test]
    fn absurd_times_stay_times() {
        let mut format = TimeFormat::rfc3339(Clock::with_offset(i128::MAX));
        assert!(format.format(u64::MAX).starts_with("9999-12-"));
        let mut format = TimeFormat::rfc3339(Clock::with_offset(-1));
        assert_eq!(format.format(0), "1969-12-31T23:59:59.999999999Z");
    }
}
