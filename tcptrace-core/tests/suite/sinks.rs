//! Every output format, as it comes out: transitions, losses, the account, hostile names.

use tcptrace_core::output::{Format, Style, TimeColumn};

use crate::common::story::{assert_escaped, assert_in_schema, clock_changes, story, style, written};

#[test]
fn text() {
    insta::assert_snapshot!(written(&style(Format::Text)));
}

#[test]
fn wide() {
    insta::assert_snapshot!(written(&style(Format::Wide)));
}

#[test]
fn json() {
    insta::assert_snapshot!(written(&style(Format::Json)));
}

#[test]
fn csv() {
    insta::assert_snapshot!(written(&style(Format::Csv)));
}

#[test]
fn times_relative_and_in_seconds() {
    let first_column = |time| {
        written(&Style { time, ..style(Format::Text) })
            .lines()
            .map(|line| line.split_whitespace().next().unwrap().to_owned())
            .take(6)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        first_column(TimeColumn::Relative),
        ["TIME(s)", "0.001499", "0.001999", "0.002006", "0.005216", "91.959999"]
    );
    assert_eq!(first_column(TimeColumn::Seconds)[1..3], ["14:13:20", "14:13:20"]);
}

#[test]
fn colour_only_when_asked_for() {
    assert!(!written(&style(Format::Text)).contains('\x1b'));
    let coloured = written(&Style { colour: true, ..style(Format::Text) });
    assert!(coloured.contains("\x1b[33mCLOSE_WAIT") && coloured.contains("\x1b[31mCLOSE"), "{coloured}");
}

#[test]
fn no_raw_control_byte_in_any_format() {
    assert_escaped("\\x1b[2J", |format| written(&style(format)));
}

#[test]
fn json_lines_follow_the_schema() {
    let out = written(&style(Format::Json));
    assert_in_schema(&out);
    // Of a drift nothing is said.
    let drifts = clock_changes().filter(|change| !change.is_step).count();
    assert_eq!(out.lines().count(), story().len() - drifts);
}

#[test]
fn csv_rows_have_as_many_fields_as_the_header() {
    let out = written(&style(Format::Csv));
    let mut reader = csv::ReaderBuilder::new().from_reader(out.as_bytes());
    let columns = reader.headers().unwrap().len();
    let rows: Vec<_> = reader.records().map(|row| row.unwrap()).collect();
    // All but the summary, which goes to standard error, and what the wall clock did.
    assert_eq!(rows.len(), story().len() - 1 - clock_changes().count());
    assert!(rows.iter().all(|row| row.len() == columns));
}
