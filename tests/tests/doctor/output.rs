//! The formats of the report, and its documents.

use std::process::Command;

use serde_json::Value;
use tcptrace_tests::{
    degraded::{NO_BTF, under},
    host,
    machine::{is_root, tcptrace},
    process::output,
};

use crate::report::{Report, doctor, document, stdout, validator};

/// The table has a line for each row, and colours only on request.
#[test]
fn the_table_says_what_the_json_form_says() {
    if !is_root("the_table_says_what_the_json_form_says") {
        return;
    }
    let _host = host::share();
    let report = Report::of(under(NO_BTF, ""), &[]);
    let text = stdout(&output(under(NO_BTF, "").arg("doctor")));
    assert_eq!(text.lines().next(), report.json["verdict"].as_str());
    // The other tools on the event may change between two runs.
    for (name, row) in report.rows.iter().filter(|(name, _)| *name != "others") {
        // The explanation is below the line, with a deeper indent.
        let mut table = text.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let line = table.find(|line| line.split_whitespace().nth(1) == Some(name));
        let line = line.unwrap_or_else(|| panic!("no line {name} in {text}"));
        assert_eq!(line.split_whitespace().next(), row["status"].as_str(), "{line}");
    }
    assert!(text.contains("means: containers cannot be distinguished"), "{text}");
    assert!(!text.contains('\u{1b}'), "no terminal, no colour: {text}");
    let coloured = output(under(NO_BTF, "").args(["doctor", "--color", "always"]));
    assert!(stdout(&coloured).contains("\u{1b}["));
}

/// Each printed name is in the schema and in the document, and neither has any other name.
#[test]
fn every_row_is_documented() {
    let report = doctor(&[]);
    let schema: Value = serde_json::from_str(&document("doctor.schema.json")).expect("JSON");
    let names = schema["$defs"]["row"]["properties"]["name"]["enum"].as_array().expect("names");
    let mut described: Vec<&str> = names.iter().map(|name| name.as_str().expect("a name")).collect();
    described.sort_unstable();
    assert_eq!(report.rows.keys().map(String::as_str).collect::<Vec<_>>(), described);
    let page = document("doctor.md");
    for name in report.rows.keys() {
        assert!(page.contains(&format!("\n| `{name}` |")), "docs/doctor.md does not describe {name}");
    }
    // The schema rejects a wrong value.
    let mut wrong = report.json.clone();
    wrong["rows"][0]["status"] = Value::from("fine");
    assert!(!validator().is_valid(&wrong));
}

#[test]
fn wrong_usage() {
    for arguments in [&["doctor", "-o", "csv"][..], &["doctor", "--hook", "tp_btf"]] {
        assert_eq!(output(Command::new(tcptrace()).args(arguments)).status.code(), Some(2), "{arguments:?}");
    }
}
