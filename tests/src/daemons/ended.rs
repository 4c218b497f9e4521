//! Connections that have ended.

use std::collections::BTreeMap;

use serde_json::Value;

/// Ended connections, as `tcptrace life` printed them.
#[derive(Debug)]
pub struct Ended {
    pub(super) lines: Vec<Value>,
    pub(super) hidden: u64,
}

impl Ended {
    /// These connections, and the number of transitions that the kernel may have hidden from the tracer.
    pub fn new(lines: Vec<Value>, hidden: u64) -> Self {
        Self { lines, hidden }
    }

    /// Connections that were accepted at this port of this host.
    #[must_use]
    pub fn accepted(&self, port: u16) -> Self {
        self.with(|line| line["lport"] == port && line["role"] == "server")
    }

    /// Connections that this host made to this port.
    #[must_use]
    pub fn made(&self, port: u16) -> Self {
        self.with(|line| line["rport"] == port && line["role"] == "client")
    }

    /// Connections with this cause.
    #[must_use]
    pub fn by(&self, cause: &str) -> Self {
        self.with(|line| line["cause"] == cause)
    }

    /// Connections for which this is true.
    #[must_use]
    pub fn with(&self, is_so: impl Fn(&Value) -> bool) -> Self {
        let lines = self.lines.iter().filter(|line| is_so(line)).cloned().collect();
        Self { lines, hidden: self.hidden }
    }

    /// The number of connections.
    pub fn count(&self) -> u64 {
        self.lines.len() as u64
    }

    /// The number of connections for each cause, for a message.
    pub fn causes(&self) -> String {
        self.tally(|line| line["cause"].as_str().unwrap_or("-"))
    }

    /// The number of connections for each key.
    pub fn tally<'a>(&'a self, key: impl Fn(&'a Value) -> &'a str) -> String {
        let mut counts = BTreeMap::<&str, u64>::new();
        for line in &self.lines {
            *counts.entry(key(line)).or_default() += 1;
        }
        let each = counts.iter().map(|(key, count)| format!("{key} {count}"));
        each.collect::<Vec<_>>().join(", ")
    }
}
