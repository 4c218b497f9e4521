//! Every output format, as it comes out: transitions, losses, the account, hostile names.

use tcptrace_core::output::{Format, Style, TimeColumn};

use crate::common::story::{story, style, written};

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
    for format in [Format::Text, Format::Wide, Format::Json, Format::Csv] {
        let out = written(&style(format));
        assert!(out.chars().all(|c| c == '\n' || !c.is_control()), "{format:?}: {out}");
        assert!(out.contains("\\x1b[2J"), "{format:?} hides the name: {out}");
    }
}

#[test]
fn json_lines_follow_the_schema() {
    let schema = include_str!("../../../docs/output.schema.json");
    let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let out = written(&style(Format::Json));
    for line in out.lines() {
        let value = serde_json::from_str(line).unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{line}: {errors:?}");
    }
    assert_eq!(out.lines().count(), story().len());
}

#[test]
fn csv_rows_have_as_many_fields_as_the_header() {
    let out = written(&style(Format::Csv));
    let mut reader = csv::ReaderBuilder::new().from_reader(out.as_bytes());
    let columns = reader.headers().unwrap().len();
    let rows: Vec<_> = reader.records().map(|row| row.unwrap()).collect();
    // All but the summary, which goes to standard error.
    assert_eq!(rows.len(), story().len() - 1);
    assert!(rows.iter().all(|row| row.len() == columns));
}
