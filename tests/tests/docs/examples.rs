//! Every example of output has the shape of real output: for a table, the header to the last space, and the columns of
//! each row; for JSON, the keys; for everything else, the words of each line.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;
use tcptrace_tests::{
    machine::{is_root, tcptrace},
    process::output,
};

use crate::{
    blocks::{Block, blocks, documents},
    reference::Reference,
    shape::{STATES, shape, without_parentheses},
    table::Table,
};

/// Lines that do not belong to a table, although they begin with a time as its rows do.
const NOTICES: [&str; 3] = ["LOST", "SAMPLING", "EVERYTHING"];

struct Examples {
    reference: Reference,
    /// The tables of a trace, which also has rows without a header; of `life`; of `sockets`; and of `sockets` by
    /// process.
    tables: [Table; 4],
    shapes: BTreeSet<String>,
}

#[test]
fn examples_have_the_shape_of_real_output() {
    if !is_root("examples_have_the_shape_of_real_output") {
        return;
    }
    let examples = Examples::of(Reference::make());
    let blocks = blocks(&["text", "json"]);
    assert!(blocks.len() >= 15, "{} examples", blocks.len());
    let wrong: Vec<String> = blocks.iter().flat_map(|block| examples.wrong(block)).collect();
    assert!(wrong.is_empty(), "{} lines are not as real output is:\n{}", wrong.len(), wrong.join("\n"));
}

impl Examples {
    fn of(reference: Reference) -> Self {
        let [trace, life] = [&reference.trace, &reference.life].map(|report| table(&report.stdout));
        let [sockets, by_process] = [&reference.sockets, &reference.by_process].map(|text| table(text));
        for (table, columns) in [(&trace, 6), (&life, 9), (&sockets, 7), (&by_process, 2)] {
            assert!(table.columns() >= columns, "{} columns to compare rows by", table.columns());
        }
        let shapes = reference.lines().map(shape).collect();
        Self { reference, tables: [trace, life, sockets, by_process], shapes }
    }

    /// The lines of a block that differ from real output, with their places.
    fn wrong(&self, block: &Block) -> Vec<String> {
        let wrong = if block.language == "json" {
            differences(&json(block), &self.reference.json, "")
        } else if block.lines.iter().any(|line| line.starts_with("Tracing is ")) {
            self.wrong_of_doctor(block)
        } else {
            self.wrong_lines(block)
        };
        wrong.into_iter().map(|line| format!("{block}: {line}")).collect()
    }

    fn wrong_lines(&self, block: &Block) -> Vec<String> {
        let mut table = Some(&self.tables[0]);
        let mut only_rows = false;
        let mut wrong = Vec::new();
        for line in block.lines.iter().filter(|line| !line.is_empty() && line.trim() != "...") {
            let is_right = if is_header(line) {
                table = self.tables.iter().find(|table| table.has_header(line));
                // Rows of sockets begin with words that other lines begin with, too.
                only_rows = !line.starts_with("TIME");
                table.is_some()
            } else if only_rows || is_row(line) {
                table.is_some_and(|table| table.has_row(line))
            } else if let Some(end) = line.strip_prefix("... ") {
                self.is_end_of_life(end)
            } else {
                self.has_shape(line)
            };
            if !is_right {
                wrong.push(line.clone());
            }
        }
        wrong
    }

    /// Whether a real line has this shape. The real line may be longer; the parentheses of an account differ by the
    /// kinds of losses.
    fn has_shape(&self, line: &str) -> bool {
        let shape = shape(line);
        let is_account = shape.contains(" seen = ");
        self.shapes.iter().any(|real| {
            real.starts_with(&shape)
                || (is_account && without_parentheses(real) == without_parentheses(&shape))
        })
    }

    /// Whether the fields at the end of a wide line of `life` are those of a real line, in its order.
    fn is_end_of_life(&self, end: &str) -> bool {
        let shown = fields(end);
        let mut real = self.reference.life_wide.stdout.lines().map(fields);
        !shown.is_empty() && real.any(|real| real == shown)
    }

    /// The differences of a documented doctor report: its groups must have the real rows, in this order.
    fn wrong_of_doctor(&self, block: &Block) -> Vec<String> {
        let shown = groups(block.lines.iter().map(String::as_str));
        let real = groups(self.reference.doctor.lines());
        let missing = shown.iter().filter(|group| !real.contains(group)).map(|group| format!("{group:?}"));
        let cost = block.lines.iter().filter(|line| line.starts_with("Cost here")).cloned();
        missing.chain(cost.filter(|line| !self.has_shape(line))).collect()
    }
}

/// The table of an output: its header, and the rows below it, up to the next line of another kind.
fn table(text: &str) -> Table {
    let mut lines = text.lines();
    let header = lines.find(|line| is_header(line)).unwrap_or_else(|| panic!("no table in {text}"));
    let is_of_time = header.starts_with("TIME");
    let rows = lines.take_while(|line| !line.contains(" network namespace"));
    Table::of(header, &rows.filter(|line| !is_of_time || is_row(line)).collect::<Vec<_>>())
}

/// Whether a line is the header of a table.
pub(crate) fn is_header(line: &str) -> bool {
    ["TIME ", "STATE ", "TOTAL "].iter().any(|word| line.trim_start().starts_with(word))
}

/// Whether a line begins with a time, and is not a notice.
fn is_row(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let is_time = words.next().is_some_and(|time| time.len() == 12 && time.matches(':').count() == 2);
    is_time && words.next().is_some_and(|word| !NOTICES.contains(&word))
}

/// The names of `NAME=VALUE`, except states, which depend on the connection.
fn fields(line: &str) -> Vec<String> {
    let names = line.split_whitespace().filter_map(|word| Some(word.split_once('=')?.0));
    names.filter(|name| !STATES.contains(name)).map(str::to_owned).collect()
}

/// The groups of a report of `doctor`: a heading, and the names of the rows below it.
fn groups<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with("    ")) {
        if let (Some(row), Some((_, names))) = (line.strip_prefix("  "), groups.last_mut()) {
            names.extend(row.split_whitespace().nth(1).map(str::to_owned));
        } else {
            groups.push((line.to_owned(), Vec::new()));
        }
    }
    groups.retain(|(_, names)| !names.is_empty());
    groups
}

fn json(block: &Block) -> Value {
    serde_json::from_str(&block.lines.join("\n")).unwrap_or_else(|error| panic!("{block}: {error}"))
}

/// Keys that only one of two objects has, at any depth.
fn differences(shown: &Value, real: &Value, path: &str) -> Vec<String> {
    let (Some(shown), Some(real)) = (shown.as_object(), real.as_object()) else { return Vec::new() };
    let keys: BTreeSet<&String> = shown.keys().chain(real.keys()).collect();
    keys.into_iter()
        .flat_map(|key| {
            let place = format!("{path}.{key}");
            match (shown.get(key), real.get(key)) {
                (Some(shown), Some(real)) => differences(shown, real, &place),
                (Some(_), None) => vec![format!("{place} is not in real output")],
                _ => vec![format!("{place} is missing")],
            }
        })
        .collect()
}

/// The exit codes in the documents' tables are those in the help of the command.
#[test]
fn exit_codes_are_those_of_the_help() {
    let mut tables = 0;
    for file in documents() {
        let text = std::fs::read_to_string(&file).expect("a readable document");
        let command = match file.file_stem().and_then(|name| name.to_str()) {
            Some("sockets") => &["sockets", "--help"][..],
            Some("findings" | "runbooks") => &["diagnose", "--help"],
            _ => &["--help"],
        };
        let rows = text
            .lines()
            .skip_while(|line| !line.starts_with("| Exit code |") && !line.starts_with("| Code | Verdict |"));
        let codes: BTreeSet<u8> = rows
            .take_while(|line| line.starts_with('|'))
            .filter_map(|line| line.split('|').nth(1)?.trim().parse().ok())
            .collect();
        if !codes.is_empty() {
            assert_eq!(codes, of_help(command), "{}", file.display());
            tables += 1;
        }
    }
    assert!(tables >= 3, "{tables} tables of exit codes");
}

/// The codes that a help text lists after "Exit codes": numbers at the beginning of a part.
fn of_help(arguments: &[&str]) -> BTreeSet<u8> {
    let help = output(Command::new(tcptrace()).args(arguments)).stdout;
    let help = String::from_utf8(help).expect("UTF-8");
    let (_, codes) = help.rsplit_once("Exit codes:").expect("exit codes");
    codes.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}
