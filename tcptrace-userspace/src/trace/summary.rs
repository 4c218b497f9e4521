//! The account at the end, for people, on standard error.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use crate::{record::Summary, text::Span};

/// Prints the account.
pub(super) fn print(summary: &Summary) {
    let _ = io::stderr().write_all(render(summary).as_bytes());
}

fn render(summary: &Summary) -> String {
    let lost = &summary.lost;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} seen = {} delivered + {} filtered + {} lost (ring full {}, output {}, undecodable {}) in {}",
        summary.seen(),
        summary.delivered,
        summary.filtered,
        lost.ring_full + lost.output + lost.undecodable,
        lost.ring_full,
        lost.output,
        lost.undecodable,
        Span(summary.elapsed_ns),
    );
    let missed = if summary.missed_runs_known { lost.missed_runs.to_string() } else { "unknown".to_owned() };
    let _ = writeln!(
        text,
        "missed runs {missed}, evicted {}, not TCP {}, without change {}",
        summary.evicted, summary.counters.other_protocol, summary.counters.same_state,
    );
    for (old, new, count) in summary.matrix() {
        let _ = writeln!(text, "{old:>12} -> {new:<12} {count:>10}");
    }
    if lost.total() > 0 {
        text.push_str("Transitions were lost: a larger --buffer, a filter or a faster output helps.\n");
    }
    text
}
