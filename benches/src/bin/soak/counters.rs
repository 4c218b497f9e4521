//! The kernel's own counters of the namespace, `/proc/net/snmp` (RFC 4022) and `/proc/net/netstat`.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result};

/// All TCP counters by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters(BTreeMap<String, i64>);

impl Counters {
    /// # Errors
    /// When the files do not exist or have another form.
    pub(crate) fn read() -> Result<Self> {
        let mut all = BTreeMap::new();
        // The files of the process' namespace, not of the thread's: both are the same here.
        for (file, head) in [("/proc/self/net/snmp", "Tcp: "), ("/proc/self/net/netstat", "TcpExt: ")] {
            let text = fs::read_to_string(file).context(file)?;
            all.extend(parse(&text, head).with_context(|| format!("{file} has no {head}"))?);
        }
        Ok(Self(all))
    }

    /// The difference to an earlier reading. For `CurrEstab`, which is not a sum, it is the increase.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self(self.0.iter().map(|(name, value)| (name.clone(), value - before.get(name))).collect())
    }

    /// A counter; 0 if this kernel does not have it.
    pub(crate) fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

/// Parses a line of names, and one of numbers.
fn parse(text: &str, head: &str) -> Option<BTreeMap<String, i64>> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(head));
    let (names, numbers) = (lines.next()?, lines.next()?);
    names
        .split_whitespace()
        .zip(numbers.split_whitespace())
        .map(|(name, number)| Some((name.to_owned(), number.parse().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_belong_together() {
        let text = "Ip: A\nIp: 1\nTcp: RtoMin MaxConn ActiveOpens\nTcp: 200 -1 7\n";
        let counters = Counters(parse(text, "Tcp: ").expect("two lines"));
        assert_eq!([counters.get("ActiveOpens"), counters.get("MaxConn"), counters.get("Other")], [7, -1, 0]);
        assert_eq!(counters.since(&counters).get("ActiveOpens"), 0);
        assert!(parse(text, "Udp: ").is_none());
    }
}
