//! The verdict: a line for each condition that must hold.

use std::fmt;

use tcptrace_tests::tracer::{Account, Report as Ended};

use crate::{
    counters::Counters,
    samples::Samples,
    tally::Tally,
    tracer::{FILE_KIB, KEPT, Recorded},
};

/// A capture may exceed its size limit by the events of a quarter of a second.
const SLACK_KIB: u64 = 1 << 10;

/// A condition that must hold.
struct Row {
    what: String,
    told: String,
    reference: String,
    holds: bool,
}

/// All results of the checks.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    /// Comparisons with the kernel's counters so far, and differences that no loss explains.
    comparisons: u32,
    unexplained: u64,
    /// Events that happened while process 1 ran, at the last comparison.
    hidden: u64,
    /// The rows of the last comparison.
    compared: Vec<Row>,
    faults: Vec<String>,
}

impl Report {
    fn row(&mut self, what: &str, told: &dyn fmt::Display, reference: &dyn fmt::Display, holds: bool) {
        let (what, told, reference) = (what.to_owned(), told.to_string(), reference.to_string());
        self.rows.push(Row { what, told, reference, holds });
    }

    /// Compares all output so far with the kernel's counters, and returns the result in words. `hidden`: events that
    /// happened while process 1 ran, for which some kernels run no program.
    pub(crate) fn compare(&mut self, counters: &Counters, tally: &Tally, hidden: u64) -> String {
        self.comparisons += 1;
        self.hidden = hidden;
        self.compared.clear();
        let mut differences = Vec::new();
        for (name, told) in tally.expected() {
            let counted = counters.get(name);
            let unexplained = (counted - told).unsigned_abs().saturating_sub(tally.untold() + self.hidden);
            if unexplained > 0 {
                differences.push(format!("{name}: told {told}, counted {counted}"));
            }
            self.unexplained += unexplained;
            let (what, told, reference) = (name.to_owned(), told.to_string(), counted.to_string());
            self.compared.push(Row { what, told, reference, holds: unexplained == 0 });
        }
        if differences.is_empty() { "as the kernel counts".to_owned() } else { differences.join("; ") }
    }

    /// Compares the output about half-open connections with sent SYNs and counters. `syns`: SYNs from senders that do
    /// not exist.
    pub(crate) fn half_open(&mut self, counters: &Counters, tally: &Tally, syns: u64) {
        let (begun, completed) = (tally.half_open("begin"), tally.half_open("end completed"));
        let (ended, opened) = (tally.half_open("end"), counters.get("PassiveOpens"));
        let queued = i64::try_from(syns).unwrap_or(i64::MAX) - counters.get("ListenDrops");
        let slack = tally.untold() + tally.lost_half_open() + self.hidden;
        for (what, told, reference) in [
            ("half-open, completed", completed, opened),
            ("half-open, never completed", begun - completed, queued),
            ("half-open, ended", ended, begun),
        ] {
            self.row(what, &told, &reference, told.abs_diff(reference) <= slack);
        }
    }

    /// Checks that the account at the tracer's end agrees with its output.
    pub(crate) fn stream(&mut self, tally: &Tally, ended: &Ended) {
        self.row("lines that cannot be", &tally.faults, &0, tally.faults == 0);
        self.faults.clone_from(&tally.shown);
        let Account { delivered, lost, .. } = ended.account();
        self.row("lines of transitions", &tally.transitions, &delivered, tally.transitions == delivered);
        // The last losses may be in the summary only.
        let (summary, least) = (tally.lost_in_summary(), lost.max(tally.lost));
        let told = summary.is_some_and(|told| told >= least);
        self.row("lost or missed, by the summary", &shown(summary), &format!("at least {least}"), told);
        let lossy = summary.unwrap_or(least) + tally.untold() + tally.lost_half_open() > 0;
        let code = if lossy { 4 } else { 0 };
        self.row("exit code", &shown(ended.code), &code, ended.code == Some(code));
    }

    /// Checks that the recorder saw what the tracer saw, and that its files have the requested sizes and number.
    pub(crate) fn recorder(&mut self, recorded: &Recorded, tally: &Tally) {
        let Recorded { ref ended, bytes, files, whole, transitions } = *recorded;
        let Account { delivered, lost, .. } = ended.account();
        let same = tally.transitions.abs_diff(delivered) <= lost + tally.untold();
        self.row("recorded transitions", &delivered, &tally.transitions, same);
        let fine = ended.code == Some(0) || (ended.code == Some(4) && tally.untold() + lost > 0);
        self.row("exit code of the recorder", &shown(ended.code), &"0, 4 with losses", fine);
        let (kib, most) = (bytes >> 10, (KEPT + 1) * (FILE_KIB + SLACK_KIB));
        self.row("captures, KiB", &kib, &format!("at most {most}"), kib <= most);
        self.row("captures that are whole", &whole, &files, whole == files && files > 0);
        if files <= KEPT {
            self.row("transitions in them", &transitions, &delivered, transitions == delivered);
        } else {
            // Transitions in older files are gone.
            let some = (1..=delivered).contains(&transitions);
            self.row("transitions in them", &transitions, &format!("at most {delivered}"), some);
        }
    }

    /// Checks that neither memory nor descriptors have grown.
    pub(crate) fn samples(&mut self, samples: &Samples) {
        let Samples { name, .. } = samples;
        let (memory, descriptors) = (samples.memory(), samples.descriptors());
        let early = |value: f64| format!("early {value}");
        self.row(
            &format!("{name}: resident KiB, late"),
            &memory.last,
            &early(memory.first),
            memory.is_flat(),
        );
        let what = format!("{name}: descriptors, late");
        self.row(&what, &descriptors.last, &early(descriptors.first), descriptors.is_level());
    }

    /// Whether all conditions hold.
    pub(crate) fn holds(&self) -> bool {
        self.unexplained == 0 && self.rows.iter().chain(&self.compared).all(|row| row.holds)
    }
}

fn shown(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<36} {:>12} {:>22}", "", "told", "reference")?;
        for Row { what, told, reference, holds } in self.compared.iter().chain(&self.rows) {
            let verdict = if *holds { "" } else { "  WRONG" };
            writeln!(f, "{what:<36} {told:>12} {reference:>22}{verdict}")?;
        }
        for fault in &self.faults {
            writeln!(f, "{fault}")?;
        }
        writeln!(
            f,
            "Compared {} times with the kernel's counters: {} unexplained differences.",
            self.comparisons, self.unexplained
        )?;
        if self.hidden > 0 {
            writeln!(f, "While process 1 ran, where some kernels run no program: {}.", self.hidden)?;
        }
        writeln!(f, "{}", if self.holds() { "Everything holds." } else { "Not everything holds." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_in_the_summary_and_by_the_exit_code() {
        let summary = |missed: u64| {
            format!(
                r#"{{"type":"summary","lost":{{"ring_full":0,"output":2,"missed_runs":{missed}}},"half_open":{{"lost":{{"ring_full":0}}}}}}"#
            )
        };
        for (line, lost, code, holds) in [
            (summary(3), 2, 4, true),
            (summary(3), 2, 0, false),
            // Fewer than the lines about losses report.
            (summary(2), 2, 4, false),
            // No summary.
            (r#"{"type":"loss","total":5}"#.to_owned(), 2, 4, false),
        ] {
            let mut tally = Tally::default();
            tally.add(r#"{"type":"loss","total":5}"#);
            tally.add(&line);
            let stderr = format!("{lost} seen = 0 delivered + 0 filtered + {lost} lost in 1.00s");
            let mut report = Report::default();
            report.stream(&tally, &Ended { stdout: String::new(), stderr, code: Some(code) });
            assert_eq!(report.holds(), holds, "{report}");
        }
    }
}
