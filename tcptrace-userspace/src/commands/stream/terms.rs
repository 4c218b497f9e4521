//! Terms that the accounts of transitions and of half-open connections share.

use std::fmt::Write as _;

/// The term of the account for records that were only counted, where there are any.
pub(super) fn sampled_out(count: u64) -> String {
    if count == 0 { String::new() } else { format!(" + {count} sampled out") }
}

/// Appends the causes of lost records: the ring was full, not written, not decoded; and the runs that the kernel
/// skipped.
pub(super) fn causes(text: &mut String, [ring_full, output, undecodable]: [u64; 3], missed_runs: u64) {
    let causes = [("ring full", ring_full), ("output", output), ("undecodable", undecodable)];
    let causes: Vec<String> =
        causes.iter().filter(|(_, n)| *n > 0).map(|(cause, n)| format!("{cause} {n}")).collect();
    if !causes.is_empty() {
        let _ = write!(text, " ({})", causes.join(", "));
    }
    if missed_runs > 0 {
        let _ = write!(text, ", and {missed_runs} missed by the kernel");
    }
}
