//! `tcptrace life`: a line a connection that ended, in every format.

use tcptrace_core::{
    model::{record::Record, view::View},
    output::{Format, Style},
};

use crate::common::story::{assert_in_schema, story, style, written};

/// The connections that end in the story; its listener, and what follows after an end, are none.
const ENDS: usize = 5;
/// Its loss, and the lines that tell of what was left out.
const GAPS: usize = 4;
/// Steps of the clock, which text and JSON have.
const STEPS: usize = 2;

fn life(format: Format) -> String {
    written(&Style { view: View::Connections, ..style(format) })
}

#[test]
fn text() {
    insta::assert_snapshot!(life(Format::Text));
}

#[test]
fn wide() {
    insta::assert_snapshot!(life(Format::Wide));
}

#[test]
fn json() {
    insta::assert_snapshot!(life(Format::Json));
}

#[test]
fn csv() {
    insta::assert_snapshot!(life(Format::Csv));
}

#[test]
fn every_connection_once_and_nothing_else() {
    let shown = |record: &&Record| match record {
        Record::Transition(transition) => View::Connections.shows(transition),
        _ => false,
    };
    assert_eq!(story().iter().filter(shown).count(), ENDS);
    // With the header, or the account.
    assert_eq!(life(Format::Text).lines().count(), ENDS + GAPS + STEPS + 1);
    assert_eq!(life(Format::Json).lines().count(), ENDS + GAPS + STEPS + 1);
    assert_eq!(life(Format::Json).matches(r#""type":"connection""#).count(), ENDS);
}

#[test]
fn json_lines_follow_the_schema() {
    assert_in_schema(&life(Format::Json));
}

#[test]
fn csv_rows_have_as_many_fields_as_the_header() {
    let out = life(Format::Csv);
    let mut reader = csv::ReaderBuilder::new().from_reader(out.as_bytes());
    let columns = reader.headers().unwrap().len();
    let rows: Vec<_> = reader.records().map(|row| row.unwrap()).collect();
    assert_eq!(rows.len(), ENDS + GAPS);
    assert!(rows.iter().all(|row| row.len() == columns));
}

#[test]
fn no_raw_control_byte_in_any_format() {
    for format in [Format::Text, Format::Wide, Format::Json, Format::Csv] {
        let out = life(format);
        assert!(out.chars().all(|c| c == '\n' || !c.is_control()), "{format:?}: {out}");
        assert!(out.contains("\\x1b[2J"), "{format:?} hides the name: {out}");
    }
}
