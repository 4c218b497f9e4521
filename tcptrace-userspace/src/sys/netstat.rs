//! `/proc/net/netstat` and `/proc/net/snmp`, where a network namespace counts what no event tells.

/// TCP's counters in the text of `netstat`, by the names that `nstat` has for them without their prefix (`TcpExt`).
pub(crate) fn counters(text: &str) -> impl Iterator<Item = (&str, u64)> {
    of(text, "TcpExt:")
}

/// The same of `snmp` (`Tcp`).
pub(crate) fn tcp_counters(text: &str) -> impl Iterator<Item = (&str, u64)> {
    of(text, "Tcp:")
}

/// Lines in pairs, names and then numbers. What is not a number is left out.
fn of<'a>(text: &'a str, prefix: &'static str) -> impl Iterator<Item = (&'a str, u64)> {
    let mut lines = text.lines().filter_map(move |line| line.strip_prefix(prefix));
    let (names, numbers) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let pairs = names.split_whitespace().zip(numbers.split_whitespace());
    pairs.filter_map(|(name, number)| Some((name, number.parse().ok()?)))
}
