//! What the host is called, and what it runs.

use std::fs;

use crate::text::Escaped;

/// The host's name; empty when it cannot be read.
pub(crate) fn name() -> String {
    one_line("/proc/sys/kernel/hostname")
}

/// The kernel's release; empty when it cannot be read.
pub(crate) fn kernel() -> String {
    one_line("/proc/sys/kernel/osrelease")
}

fn one_line(path: &str) -> String {
    fs::read_to_string(path).map(|text| Escaped(text.trim_end().as_bytes()).to_string()).unwrap_or_default()
}
