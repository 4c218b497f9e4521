//! Counters of a network namespace in `/proc/net/netstat` and `/proc/net/snmp`. They count what no event reports, such as
//! SYNs that were dropped or answered by a cookie.

/// Counters of a network namespace, by the names that `nstat` has for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Netstat {
    values: [Option<u64>; 7],
}

/// How the counters of a namespace grew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceCounters {
    /// Inode number; `None` when not known.
    pub netns: Option<u32>,
    /// The growth since the start, or since the namespace was first seen.
    pub grown: Netstat,
}

impl Netstat {
    /// The names, in the order of [`Self::values`].
    pub const NAMES: [&str; 7] = [
        "ListenOverflows",
        "ListenDrops",
        "TCPReqQFullDoCookies",
        "TCPReqQFullDrop",
        "SyncookiesSent",
        "SyncookiesRecv",
        "SyncookiesFailed",
    ];

    /// Reads the text of `/proc/net/netstat`. Counters that the text lacks are `None`.
    pub fn of(text: &str) -> Self {
        Self::with(|wanted| counters(text).find(|(name, _)| *name == wanted).map(|(_, count)| count))
    }

    /// Takes the value of each name from `value`.
    pub(crate) fn with(value: impl FnMut(&'static str) -> Option<u64>) -> Self {
        Self { values: Self::NAMES.map(value) }
    }

    /// The growth since `earlier`; `None` where either value is not known. A value that is smaller than the earlier one is
    /// of another namespace, to which the kernel gave the inode of one that is gone: it began at zero.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut grown = *self;
        for (value, before) in grown.values.iter_mut().zip(earlier.values) {
            *value = value.zip(before).map(|(now, before)| now.checked_sub(before).unwrap_or(now));
        }
        grown
    }

    /// Pairs of a name and its number.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, Option<u64>)> {
        Self::NAMES.into_iter().zip(self.values)
    }

    /// Whether any counter is known and not 0.
    pub fn is_any(&self) -> bool {
        self.values.iter().any(|value| value.is_some_and(|value| value > 0))
    }
}

/// TCP's counters in the text of `netstat`, by the names that `nstat` has for them without their prefix (`TcpExt`).
pub fn counters(text: &str) -> impl Iterator<Item = (&str, u64)> {
    pairs(text, "TcpExt:")
}

/// The TCP counters in the text of `snmp`, by their names without the prefix (`Tcp`).
pub fn tcp_counters(text: &str) -> impl Iterator<Item = (&str, u64)> {
    pairs(text, "Tcp:")
}

/// Pairs from two lines: names, and then numbers. A value that is not a number is left out.
fn pairs<'a>(text: &'a str, prefix: &'static str) -> impl Iterator<Item = (&'a str, u64)> {
    let mut lines = text.lines().filter_map(move |line| line.strip_prefix(prefix));
    let (names, numbers) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let pairs = names.split_whitespace().zip(numbers.split_whitespace());
    pairs.filter_map(|(name, number)| Some((name, number.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_by_name() {
        let earlier = Netstat::of(
            "TcpExt: SyncookiesSent Other ListenDrops\nTcpExt: 4 9 10\nIpExt: SyncookiesRecv\nIpExt: 3\n",
        );
        let later = Netstat::of("TcpExt: SyncookiesSent ListenDrops SyncookiesRecv\nTcpExt: 6 10 1\n");
        let grown = later.since(&earlier);
        let of = |wanted: &str| grown.values().find(|(name, _)| *name == wanted).expect("a name").1;
        assert_eq!(of("SyncookiesSent"), Some(2));
        assert_eq!(of("ListenDrops"), Some(0));
        assert_eq!((of("SyncookiesRecv"), of("ListenOverflows")), (None, None));
        assert!(grown.is_any() && !later.since(&later).is_any());
    }

    #[test]
    fn another_namespace_of_the_same_inode_begins_at_zero() {
        let of = |count: u64| Netstat::of(&format!("TcpExt: ListenDrops\nTcpExt: {count}\n"));
        assert!(of(5).since(&of(1_000)).values().any(|drops| drops == ("ListenDrops", Some(5))));
    }

    #[test]
    fn what_is_damaged_is_not_known() {
        for odd in ["", "TcpExt:", "TcpExt: SyncookiesSent\n", "TcpExt: SyncookiesSent\nTcpExt: -1\n", "x\ny"]
        {
            assert_eq!(Netstat::of(odd), Netstat::default(), "{odd}");
        }
    }
}
