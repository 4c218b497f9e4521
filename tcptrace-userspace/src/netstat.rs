//! `/proc/net/netstat`, where a network namespace counts what no event tells.

/// TCP's counters in its text, by the names that `nstat` has for them: lines in pairs, names and then numbers. What is not
/// a number is left out.
pub(crate) fn counters(text: &str) -> impl Iterator<Item = (&str, u64)> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, numbers) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let pairs = names.split_whitespace().zip(numbers.split_whitespace());
    pairs.filter_map(|(name, number)| Some((name, number.parse().ok()?)))
}
