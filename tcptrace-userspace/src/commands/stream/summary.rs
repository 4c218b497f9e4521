//! The account at the end, for people, on standard error.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use tcptrace_core::model::{loss::Lost, state::State, summary::Summary, text::Span};

use super::{
    half_open_summary,
    terms::{causes, sampled_out},
};

/// Prints the account. `counted`: transitions were only counted, not printed.
pub(super) fn print(summary: &Summary, counted: bool) {
    let _ = io::stderr().write_all(render(summary, counted).as_bytes());
}

fn render(summary: &Summary, counted: bool) -> String {
    let lost = &summary.lost;
    let mut text = String::new();
    let _ = write!(
        text,
        "{} seen = {} {} + {} filtered{} + {} lost",
        summary.seen(),
        summary.delivered,
        if counted { "counted" } else { "delivered" },
        summary.filtered,
        sampled_out(summary.sampled_out().transitions),
        lost.transitions(),
    );
    causes(&mut text, [lost.ring_full, lost.output, lost.undecodable], lost.missed_runs);
    if lost.others > 0 {
        let _ = write!(text, ", and {} signals lost", lost.others);
    }
    let signals = summary.sampled_out().signals;
    if signals > 0 {
        let _ = write!(text, ", and {signals} signals sampled out");
    }
    let _ = writeln!(text, " in {}", Span(summary.elapsed_ns));
    if let Some(connections) = summary.connections {
        let _ = writeln!(text, "{connections} connections ended and were printed");
    }
    for (count, what) in [
        (summary.inferred, "transitions were inferred from these (~>), into and out of TIME_WAIT"),
        (summary.evicted, "sockets were forgotten because the table was full (--max-connections)"),
        (
            summary.second_children,
            "second children of one request were thrown away by the kernel, and are no connections",
        ),
        (
            summary.counters.other_protocol,
            "events of sockets that are not TCP (MPTCP's parents) are left out",
        ),
        (summary.reconciled.appeared, "sockets had begun unseen, as a list of the kernel's shows"),
        (summary.reconciled.vanished, "sockets had ended unseen"),
        (summary.reconciled.changed, "sockets had changed their state unseen"),
        (summary.counters.same_state, "events without a change of state are left out"),
        (lost.skipped_inputs, "inputs of the capture were skipped"),
    ] {
        if count > 0 {
            let _ = writeln!(text, "{count} {what}");
        }
    }
    if let Some(snapshot_gaps) = &summary.snapshot_gaps {
        let _ = writeln!(text, "Pre-existing sockets not seen: {snapshot_gaps}");
    }
    for uncounted in &summary.uncounted {
        let _ = writeln!(text, "Not seen: {uncounted}");
    }
    if !summary.missed_runs_known {
        text.push_str("This kernel does not report how often it skipped the program.\n");
    }
    if let Some(half_open) = &summary.half_open {
        half_open_summary::render(half_open, &mut text);
    }
    matrix(summary, &mut text);
    for advice in advice(lost, summary.sampled_out().total()) {
        let _ = writeln!(text, "{advice}");
    }
    text
}

fn matrix(summary: &Summary, text: &mut String) {
    let mut cells: Vec<_> = summary.matrix().collect();
    if cells.is_empty() {
        return;
    }
    let rank =
        |state: State| State::LIFE.iter().position(|known| *known == state).unwrap_or(State::LIFE.len());
    cells.sort_by_key(|(old, new, _)| (rank(*old), rank(*new)));
    text.push_str("Seen on the whole host, before filters:\n");
    for (old, new, count) in cells {
        let _ = writeln!(text, "{old:>12} -> {new:<12} {count:>10}");
    }
}

/// The advice for each kind of loss.
fn advice(lost: &Lost, sampled_out: u64) -> impl Iterator<Item = &'static str> {
    [
        (
            sampled_out,
            "Sampled out: more than --max-rate, or than the output took; a filter or a faster output helps. The table is exact.",
        ),
        (lost.ring_full, "Ring full: a larger --buffer, a filter, or a faster output helps."),
        (
            lost.output,
            "Output: what reads it did not keep up until the end, or a capture is cut off; try writing to a file.",
        ),
        (lost.undecodable, "Undecodable: the kernel object and this program differ; please report it."),
        (
            lost.missed_runs,
            "Missed: the kernel does not run a program inside itself, nor a tracepoint's beside others; tp_btf is safer.",
        ),
        (lost.skipped_inputs, "Skipped: a newer tcptrace recorded this capture; replay it with that version."),
    ]
    .into_iter()
    .filter_map(|(count, advice)| (count > 0).then_some(advice))
}

#[cfg(test)]
mod tests {
    use tcptrace_common::Counters;

    use tcptrace_core::model::summary::Reconciled;

    use super::*;

    fn summary(lost: Lost) -> Summary {
        let mut counters = Counters::ZERO;
        counters.seen[1][4] = 2;
        counters.seen[7][2] = 7;
        Summary {
            ktime_ns: 0,
            elapsed_ns: 1_500_000_000,
            counters,
            delivered: 5,
            filtered: 1,
            lost,
            missed_runs_known: true,
            evicted: 0,
            second_children: 0,
            connections: None,
            inferred: 3,
            reconciled: Reconciled::default(),
            snapshot_gaps: None,
            uncounted: Vec::new(),
            half_open: None,
        }
    }

    #[test]
    fn a_clean_trace() {
        insta::assert_snapshot!(render(&summary(Lost::default()), false), @r"
        9 seen = 5 delivered + 1 filtered + 0 lost in 1.50s
        3 transitions were inferred from these (~>), into and out of TIME_WAIT
        Seen on the whole host, before filters:
               CLOSE -> SYN_SENT              7
         ESTABLISHED -> FIN_WAIT1             2
        ");
    }

    #[test]
    fn connections_are_counted_where_they_are_lines() {
        let summary = Summary { connections: Some(2), inferred: 0, ..summary(Lost::default()) };
        insta::assert_snapshot!(render(&summary, false), @r"
        9 seen = 5 delivered + 1 filtered + 0 lost in 1.50s
        2 connections ended and were printed
        Seen on the whole host, before filters:
               CLOSE -> SYN_SENT              7
         ESTABLISHED -> FIN_WAIT1             2
        ");
    }

    #[test]
    fn what_lists_have_put_right_is_told() {
        let summary = Summary {
            reconciled: Reconciled { appeared: 1, vanished: 0, changed: 2 },
            snapshot_gaps: Some("the open sockets of 9 processes".to_owned()),
            uncounted: vec![
                "some of what syn-flood would distinguish (the tables were full 3 times)".to_owned(),
            ],
            inferred: 0,
            ..summary(Lost::default())
        };
        insta::assert_snapshot!(render(&summary, false), @r"
        9 seen = 5 delivered + 1 filtered + 0 lost in 1.50s
        1 sockets had begun unseen, as a list of the kernel's shows
        2 sockets had changed their state unseen
        Pre-existing sockets not seen: the open sockets of 9 processes
        Not seen: some of what syn-flood would distinguish (the tables were full 3 times)
        Seen on the whole host, before filters:
               CLOSE -> SYN_SENT              7
         ESTABLISHED -> FIN_WAIT1             2
        ");
    }

    #[test]
    fn what_was_left_out_is_told() {
        let mut summary = Summary { delivered: 4, inferred: 0, ..summary(Lost::default()) };
        (summary.counters.sampled_out, summary.counters.signals_sampled_out) = (4, 2);
        insta::assert_snapshot!(render(&summary, false), @r"
        9 seen = 4 delivered + 1 filtered + 4 sampled out + 0 lost, and 2 signals sampled out in 1.50s
        Seen on the whole host, before filters:
               CLOSE -> SYN_SENT              7
         ESTABLISHED -> FIN_WAIT1             2
        Sampled out: more than --max-rate, or than the output took; a filter or a faster output helps. The table is exact.
        ");
        assert!(summary.is_lossy());
    }

    #[test]
    fn every_loss_is_told_with_what_helps() {
        let lost =
            Lost { ring_full: 2, output: 1, undecodable: 0, missed_runs: 3, others: 4, skipped_inputs: 5 };
        insta::assert_snapshot!(render(&summary(lost), false), @r"
        9 seen = 5 delivered + 1 filtered + 3 lost (ring full 2, output 1), and 3 missed by the kernel, and 4 signals lost in 1.50s
        3 transitions were inferred from these (~>), into and out of TIME_WAIT
        5 inputs of the capture were skipped
        Seen on the whole host, before filters:
               CLOSE -> SYN_SENT              7
         ESTABLISHED -> FIN_WAIT1             2
        Ring full: a larger --buffer, a filter, or a faster output helps.
        Output: what reads it did not keep up until the end, or a capture is cut off; try writing to a file.
        Missed: the kernel does not run a program inside itself, nor a tracepoint's beside others; tp_btf is safer.
        Skipped: a newer tcptrace recorded this capture; replay it with that version.
        ");
    }
}
