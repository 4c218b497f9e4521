//! The times of the first reports of findings: a fault that must last for a time must not be reported before that time.

use std::{collections::HashMap, fmt, process::Command, time::Duration};

use serde_json::Value;
use tcptrace_tests::{
    labs::{Threshold, stage::Playing},
    machine::tcptrace,
    process::output,
};

/// A finding, and the time of its first report in a trace.
pub(crate) struct Reported {
    pub(crate) finding: Value,
    ktime_ns: u64,
}

impl Reported {
    /// Parses a line of a trace in JSON, if it is a finding.
    pub(crate) fn read(line: &str) -> Option<Self> {
        // Quotes within JSON strings are escaped.
        if !line.contains("\"type\":\"finding\"") {
            return None;
        }
        let mut line: Value = serde_json::from_str(line).expect("JSON");
        let ktime_ns = line["ktime_ns"].as_u64().expect("a time");
        Some(Self { finding: line["finding"].take(), ktime_ns })
    }

    /// The time since the set-up of the situation began: its fault cannot be older.
    pub(crate) fn after(&self, playing: &Playing) -> Duration {
        Duration::from_nanos(self.ktime_ns.saturating_sub(playing.begun_ns))
    }
}

/// The time of a fault's first report, since the fault can have begun.
pub(crate) struct Times {
    pub(crate) first: Duration,
    /// The threshold, which must have passed.
    pub(crate) least: Duration,
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, least) = (self.first.as_secs_f64(), self.least.as_secs());
        write!(f, "reported after {first:.1} s, where {least} s must pass")
    }
}

/// The shipped thresholds.
pub(crate) struct Shipped(HashMap<(String, String), u64>);

impl Shipped {
    /// Reads them from the output of `tcptrace diagnose`.
    pub(crate) fn read() -> Self {
        let printed = output(Command::new(tcptrace()).args(["diagnose", "--print-config"])).stdout;
        let printed = String::from_utf8(printed).expect("UTF-8");
        let (mut section, mut all) = (String::new(), HashMap::new());
        for line in printed.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else if let Some((key, value)) = line.split_once(" = ")
                && let Ok(value) = value.parse()
            {
                all.insert((section.clone(), key.to_owned()), value);
            }
        }
        Self(all)
    }

    pub(crate) fn time(&self, Threshold { section, key }: Threshold) -> Duration {
        let seconds = self.0.get(&(section.to_owned(), key.to_owned()));
        Duration::from_secs(*seconds.unwrap_or_else(|| panic!("no {key} in [{section}]")))
    }
}
