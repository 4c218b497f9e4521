//! The facts that a finding rests on: numbers with their unit, so that each output formats them in its own way.

use std::{fmt, time::Duration};

use super::text::Span;

/// A fact that a finding rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The count or measure.
    pub name: String,
    /// How much.
    pub value: EvidenceValue,
}

/// A count or a measure. [`fmt::Display`] formats it for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvidenceValue {
    /// A count, or a number that has no unit, such as a sysctl or a user id.
    Number(u64),
    /// A count that stopped at the capacity of the detector: there may be more.
    AtLeast(u64),
    /// A number of bytes.
    Bytes(u64),
    /// A length of time.
    Duration(Duration),
    /// A number, and the limit or the total that it is compared with. A full queue may have more than its limit.
    Part {
        /// The number.
        value: u64,
        /// The limit or the total.
        of: u64,
    },
    /// How a count changed while tcptrace watched it.
    Growth {
        /// The first count.
        from: u64,
        /// The last count.
        to: u64,
        /// The time between both, where the speed matters.
        within: Option<Duration>,
    },
    /// Yes or no.
    Flag(bool),
    /// Text, such as an address, a program or a cause.
    Text(String),
    /// It could not be read.
    Unknown,
}

impl EvidenceValue {
    /// `value` of `of`.
    pub fn part(value: impl Into<u64>, of: impl Into<u64>) -> Self {
        Self::Part { value: value.into(), of: of.into() }
    }
}

/// A time in seconds: scans are seconds apart, and most ages are a lower limit, so that fractions would only look exact.
fn duration(f: &mut fmt::Formatter<'_>, duration: Duration) -> fmt::Result {
    match duration.as_secs() {
        seconds @ 0..60 => write!(f, "{seconds} s"),
        _ => write!(f, "{}", Span(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))),
    }
}

/// `12`, `at least 12`, `12 bytes`, `12 s`, `4m12s`, `12 of 128`, `5 (from 7 to 12)`, `5 (from 7 to 12 in 10 s)`, `yes`,
/// `not known`.
impl fmt::Display for EvidenceValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::AtLeast(number) => write!(f, "at least {number}"),
            Self::Bytes(1) => f.write_str("1 byte"),
            Self::Bytes(bytes) => write!(f, "{bytes} bytes"),
            Self::Duration(time) => duration(f, *time),
            Self::Part { value, of } => write!(f, "{value} of {of}"),
            Self::Growth { from, to, within } => {
                write!(f, "{} (from {from} to {to}", i128::from(*to) - i128::from(*from))?;
                if let Some(within) = within {
                    f.write_str(" in ")?;
                    duration(f, *within)?;
                }
                f.write_str(")")
            }
            Self::Flag(true) => f.write_str("yes"),
            Self::Flag(false) => f.write_str("no"),
            Self::Text(text) => f.write_str(text),
            Self::Unknown => f.write_str("not known"),
        }
    }
}

impl From<u64> for EvidenceValue {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for EvidenceValue {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for EvidenceValue {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<Duration> for EvidenceValue {
    fn from(duration: Duration) -> Self {
        Self::Duration(duration)
    }
}

impl From<bool> for EvidenceValue {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<&str> for EvidenceValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for EvidenceValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// [`EvidenceValue::Unknown`] for `None`.
impl<T: Into<Self>> From<Option<T>> for EvidenceValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Unknown, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: impl Into<EvidenceValue>) -> String {
        value.into().to_string()
    }

    #[test]
    fn numbers() {
        assert_eq!([shown(12_u64), shown(12_u32), shown(12_usize)], ["12"; 3]);
        assert_eq!(shown(EvidenceValue::AtLeast(65_536)), "at least 65536");
        assert_eq!([1, 3_000].map(|bytes| shown(EvidenceValue::Bytes(bytes))), ["1 byte", "3000 bytes"]);
        assert_eq!(shown(EvidenceValue::part(129_u32, 128_u64)), "129 of 128");
    }

    #[test]
    fn durations() {
        let shown = [0, 999, 29_400, 59_999, 60_000, 17_580_000].map(|ms| shown(Duration::from_millis(ms)));
        assert_eq!(shown, ["0 s", "0 s", "29 s", "59 s", "1m00s", "4h53m"]);
        assert_eq!(EvidenceValue::from(Duration::MAX).to_string(), "213503d23h");
    }

    #[test]
    fn growth() {
        let within = Some(Duration::from_secs(10));
        assert_eq!(shown(EvidenceValue::Growth { from: 10, to: 42, within: None }), "32 (from 10 to 42)");
        assert_eq!(shown(EvidenceValue::Growth { from: 60, to: 85, within }), "25 (from 60 to 85 in 10 s)");
        assert_eq!(shown(EvidenceValue::Growth { from: 85, to: 60, within }), "-25 (from 85 to 60 in 10 s)");
    }

    #[test]
    fn what_is_no_number() {
        assert_eq!([true, false].map(shown), ["yes", "no"]);
        assert_eq!([shown("/usr/bin/x"), shown("eth0".to_owned())], ["/usr/bin/x", "eth0"]);
        assert_eq!([shown(Some(2_u64)), shown(None::<u64>)], ["2", "not known"]);
    }
}
