//! The results of the tests, by kernel, scenario and hook.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::Path,
};

use anyhow::{Context, Result, bail};

use super::{features::Features, tested::Tested};

/// The hooks. A test's name ends with its hook.
pub(crate) const HOOKS: [&str; 2] = ["tp_btf", "tracepoint"];

const BEGIN: &str = "<!-- vm-test:begin -->\n";
const END: &str = "<!-- vm-test:end -->";

/// The outcome of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    /// The kernel lacks a feature that the test needs.
    Skipped,
    Failed,
}

/// The outcomes of all kernels.
#[derive(Default)]
pub(crate) struct Table {
    kernels: Vec<String>,
    /// Test program and scenario, kernel, hook; no hook where the scenario needs none.
    outcomes: BTreeMap<(String, String, String), Outcome>,
    /// Kernels whose run failed as a whole, and why.
    broken: Vec<(String, String)>,
    features: Features,
}

impl Table {
    fn note(&mut self, kernel: &str, test: &str, outcome: Outcome) {
        let (scenario, hook) =
            test.rsplit_once("::").filter(|(_, hook)| HOOKS.contains(hook)).unwrap_or((test, ""));
        if !self.kernels.iter().any(|known| known == kernel) {
            self.kernels.push(kernel.to_owned());
        }
        self.outcomes.insert((scenario.to_owned(), kernel.to_owned(), hook.to_owned()), outcome);
    }

    /// Notes that a kernel's run failed as a whole.
    pub(crate) fn broken(&mut self, kernel: &str, why: &str) {
        self.broken.push((kernel.to_owned(), why.to_owned()));
    }

    fn count(&self, kernel: &str, outcome: Outcome) -> usize {
        self.outcomes.iter().filter(|((_, name, _), is)| name == kernel && **is == outcome).count()
    }

    /// The results of one kernel in a line.
    pub(crate) fn summary(&self, kernel: &str) -> String {
        let [passed, failed, skipped] =
            [Outcome::Passed, Outcome::Failed, Outcome::Skipped].map(|outcome| self.count(kernel, outcome));
        format!("{passed} passed, {failed} failed, {skipped} skipped")
    }

    /// # Errors
    /// A kernel was not tested, or a test failed.
    pub(crate) fn verdict(&self) -> Result<()> {
        let failed = self.outcomes.iter().filter(|(_, outcome)| **outcome == Outcome::Failed);
        let mut faults: Vec<String> = failed
            .map(|((scenario, kernel, hook), _)| {
                let hook = if hook.is_empty() { String::new() } else { format!(" ({hook})") };
                format!("{scenario}{hook} failed on {kernel}")
            })
            .collect();
        faults.extend(self.broken.iter().map(|(kernel, why)| format!("{kernel}: {why}")));
        if !faults.is_empty() {
            bail!("{}", faults.join("\n  "));
        }
        if self.outcomes.is_empty() {
            bail!("no test ran");
        }
        Ok(())
    }

    /// Writes the tested sources and the table between the markers of `file`.
    ///
    /// # Errors
    /// The file has no markers, or cannot be written.
    pub(crate) fn write(&self, tested: &Tested, file: &Path) -> Result<()> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        fs::write(file, self.put_into(&text, tested)?)?;
        Ok(())
    }

    /// The document with new text between its markers.
    fn put_into(&self, text: &str, tested: &Tested) -> Result<String> {
        let (before, rest) = text.split_once(BEGIN).context("the marker vm-test:begin is missing")?;
        let (_, after) = rest.split_once(END).context("the marker vm-test:end is missing")?;
        Ok(format!("{before}{BEGIN}{tested}\n\n{self}{END}{after}"))
    }
}

impl Table {
    /// The counts of the outcomes of a group's scenarios by one hook, or of those without a hook; `None` if there are
    /// none.
    fn cell(&self, group: &str, kernel: &str, hook: &str) -> Option<String> {
        let of_group = self.outcomes.iter().filter(|((scenario, of, by), _)| {
            of == kernel && by == hook && scenario.rsplit_once("::").is_some_and(|(head, _)| head == group)
        });
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, outcome) in of_group {
            *counts
                .entry(match outcome {
                    Outcome::Passed => "ok",
                    Outcome::Skipped => "-",
                    Outcome::Failed => "FAILED",
                })
                .or_default() += 1;
        }
        let parts: Vec<String> = counts.iter().rev().map(|(word, count)| format!("{count} {word}")).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// Markdown: the features; then one line for each group of scenarios, one column for each kernel, with both hooks in a
/// cell.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.features)?;
        writeln!(f, "| {} | {} |", HOOKS.join(" / "), self.kernels.join(" | "))?;
        writeln!(f, "|---|{}", "---|".repeat(self.kernels.len()))?;
        let heads = self.outcomes.keys().filter_map(|(scenario, ..)| scenario.rsplit_once("::"));
        for group in heads.map(|(head, _)| head).collect::<BTreeSet<_>>() {
            write!(f, "| {group} |")?;
            for kernel in &self.kernels {
                let cells = HOOKS.iter().filter_map(|hook| self.cell(group, kernel, hook));
                let both: Vec<String> = cells.collect();
                let without = self.cell(group, kernel, "");
                let all: Vec<String> =
                    [both.join(" / ")].into_iter().filter(|cell| !cell.is_empty()).chain(without).collect();
                write!(f, " {} |", if all.is_empty() { "-".to_owned() } else { all.join("; ") })?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// A reader of one machine's console.
pub(crate) struct Console {
    kernel: String,
    /// Whether progress is printed.
    shows: bool,
    /// The test program that is running.
    program: String,
    skipped: Vec<String>,
    /// The number of test programs that began.
    begun: usize,
    ended: usize,
    /// A complaint of `init`, or the test program that failed.
    complaint: Option<String>,
    /// Whether the lines are the output of a failed test.
    in_failure: bool,
}

impl Console {
    /// A reader at the beginning of a console. `shows`: print progress, for a machine that runs now rather than an
    /// earlier run.
    pub(crate) fn new(kernel: &str, shows: bool) -> Self {
        Self {
            kernel: kernel.to_owned(),
            shows,
            program: String::new(),
            skipped: Vec::new(),
            begun: 0,
            ended: 0,
            complaint: None,
            in_failure: false,
        }
    }

    /// Reads a line: of `init`, of the harness, or any other.
    pub(crate) fn read(&mut self, line: &str, table: &mut Table) {
        // libtest prints a head and the output of each failed test, then `failures:` and their names.
        let is_over = line == "failures:" || line.starts_with("## end ");
        self.in_failure = (self.in_failure || line.starts_with("---- ")) && !is_over;
        if self.in_failure {
            self.show(line);
        } else if let Some(test) = line.strip_prefix("SKIPPED: ") {
            self.skipped.push(test.split_once(": ").map_or(test, |(name, _)| name).to_owned());
        } else if let Some(report) = line.strip_prefix("## doctor ") {
            if !table.features.read(&self.kernel, report) {
                self.complaint = Some(format!("the doctor says: {report}"));
            }
        } else if let Some(word) = line.strip_prefix("## ") {
            self.show(word);
            if let Some(program) = word.strip_prefix("begin ") {
                program.clone_into(&mut self.program);
                self.begun += 1;
            }
            self.ended += usize::from(word.starts_with("end "));
            let failed = word.starts_with("end ") && !word.ends_with(": exit status: 0");
            if failed || word.starts_with("failed: ") {
                self.complaint = Some(word.to_owned());
            }
        } else if let Some((test, outcome)) =
            line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "))
        {
            let skipped =
                self.skipped.iter().any(|name| test == name || test.ends_with(&format!("::{name}")));
            let outcome = match outcome {
                "ok" if skipped => Outcome::Skipped,
                "ok" => Outcome::Passed,
                _ => Outcome::Failed,
            };
            if outcome == Outcome::Failed {
                self.show(&format!("FAILED {test}"));
            }
            table.note(&self.kernel, &format!("{}::{test}", self.program), outcome);
        }
    }

    fn show(&self, what: &str) {
        if self.shows {
            eprintln!("    {what}");
        }
    }

    /// # Errors
    /// The machine ended before all tests ended.
    pub(crate) fn finish(self) -> Result<()> {
        if let Some(why) = self.complaint {
            bail!("in the machine: {why}");
        }
        if self.begun == 0 || self.begun != self.ended {
            bail!("the machine ended after {} of its test programs: see its console", self.ended);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> (Table, Result<()>) {
        let (mut table, mut console) = (Table::default(), Console::new("5.10", false));
        for line in lines {
            console.read(line, &mut table);
        }
        let end = console.finish();
        (table, end)
    }

    #[test]
    fn a_console_becomes_a_table() {
        let (table, end) = read(&[
            "[    0.1] anything",
            "## begin scenarios",
            "SKIPPED: mptcp::tp_btf: no MPTCP: os error 93",
            "test special::mptcp::tp_btf ... ok",
            "test open::refused::tp_btf ... ok",
            "test open::refused::tracepoint ... FAILED",
            "test slot::tests::of_the_harness ... ok",
            "## end scenarios: exit status: 101",
        ]);
        assert!(end.expect_err("a program failed").to_string().contains("scenarios: exit status: 101"));
        assert_eq!(table.summary("5.10"), "2 passed, 1 failed, 1 skipped");
        let text = table.to_string();
        let lines = "| scenarios::open | 1 ok / 1 FAILED |\n| scenarios::slot::tests | 1 ok |\n\
                     | scenarios::special | 1 - |";
        assert!(text.contains(lines), "{text}");
        let fault = table.verdict().expect_err("one failed").to_string();
        assert_eq!(fault, "scenarios::open::refused (tracepoint) failed on 5.10");
    }

    #[test]
    fn a_document_gets_the_commit_the_day_and_the_table() {
        let (table, end) = read(&["## begin a", "test b::c::tp_btf ... ok", "## end a: exit status: 0"]);
        end.expect("all is well");
        let before = format!("Text.\n{BEGIN}old\n{END}\nMore.\n");
        let text = table.put_into(&before, &Tested::example(false)).expect("the markers");
        let head = format!("Text.\n{BEGIN}Tested: commit `0123456789ab`, on 2026-11-30.\n\n|");
        assert!(text.starts_with(&head), "{text}");
        assert!(text.ends_with(&format!("| a::b | 1 ok |\n{END}\nMore.\n")), "{text}");
        // A second write changes nothing.
        assert_eq!(table.put_into(&text, &Tested::example(false)).expect("the markers"), text);
        assert!(table.put_into("no markers", &Tested::example(false)).is_err());
    }

    /// A failed test can print anything, such as a diagnosis in Markdown.
    #[test]
    fn the_output_of_a_failed_test_is_no_result() {
        let (table, end) = read(&[
            "## begin a",
            "test one::tp_btf ... FAILED",
            "failures:",
            "",
            "---- one::tp_btf stdout ----",
            "## failed: no ip",
            "test two::tp_btf ... ok",
            "failures:",
            "    one::tp_btf",
            "## end a: exit status: 101",
        ]);
        assert_eq!(table.summary("5.10"), "0 passed, 1 failed, 0 skipped");
        assert!(end.expect_err("it failed").to_string().contains("end a"));
    }

    #[test]
    fn a_machine_that_ends_early_is_no_success() {
        assert!(read(&["## begin a", "## end a: exit status: 0"]).1.is_ok());
        assert!(read(&["## begin scenarios", "test a::tp_btf ... ok"]).1.is_err());
        assert!(read(&["Kernel panic"]).1.is_err());
        assert!(read(&["## begin a", "## end a: exit status: 0", "## failed: no ip"]).1.is_err());
        assert!(Table::default().verdict().is_err());
    }
}
