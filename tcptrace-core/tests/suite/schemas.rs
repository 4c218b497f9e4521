//! The schemas in `docs/` describe what is written: every field, in its order, and no other one.

use std::collections::BTreeSet;

use serde_json::Value;
use tcptrace_core::{
    model::{
        finding::{Confidence, Finding},
        record::{Found, Phase, Record},
        view::View,
    },
    output::{Format, Style, schemas},
};

use crate::{
    common::{
        ordered::Ordered,
        schema::strict,
        story::{style, write, written},
    },
    half_open_sinks,
};

fn read(name: &str) -> String {
    std::fs::read_to_string(format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn documents_are_those_of_the_tables() {
    for (name, text) in schemas() {
        assert!(read(name) == text, "docs/{name}: run `cargo xtask schemas --write`");
    }
}

#[test]
fn definitions_have_names_of_their_own() {
    for (name, text) in schemas() {
        let document: Ordered = serde_json::from_str(&text).unwrap();
        let names: Vec<&str> = document.get("$defs").unwrap().keys().collect();
        let different: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(different.len(), names.len(), "{name}: two tables have one name: {names:?}");
    }
}

fn found() -> Record {
    let finding = Finding::new("port-scan", Confidence::HIGH, "a sentence".to_owned()).about("a host");
    Record::Finding(Box::new(Found { ktime_ns: 1, phase: Phase::Begun, finding }))
}

/// All lines that tests have of a stream.
fn lines() -> String {
    let life = Style { view: View::Connections, ..style(Format::Json) };
    let stories = [
        written(&style(Format::Json)),
        written(&life),
        half_open_sinks::written(&style(Format::Json)),
        write(&style(Format::Json), &[found()]),
    ];
    stories.concat()
}

#[test]
fn nothing_is_written_that_is_not_described() {
    let schema = serde_json::from_str(&read("output.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&strict(schema)).unwrap();
    let lines = lines();
    for line in lines.lines() {
        let mut value: Value = serde_json::from_str(line).unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{line}: {errors:?}");
        value["undescribed"] = 1.into();
        assert!(!validator.is_valid(&value), "the test can fail");
    }
}

/// What a schema says of an object: its rows.
fn rows<'a>(document: &'a Ordered, mut schema: &'a Ordered) -> Option<&'a Ordered> {
    loop {
        let choices = schema.get("anyOf").map(Ordered::items).unwrap_or_default();
        schema = match (schema.get("$ref").and_then(Ordered::text), choices.first()) {
            (Some(reference), _) => document.get("$defs")?.get(reference.strip_prefix("#/$defs/")?)?,
            (None, Some(first)) => first,
            (None, None) => return schema.get("properties"),
        };
    }
}

/// Checks the order of the members of an object, and of those in it; adds which there are to `seen`.
fn check(document: &Ordered, schema: &Ordered, object: &Ordered, path: &str, seen: &mut BTreeSet<String>) {
    for item in object.items() {
        check(document, schema.get("items").unwrap(), item, path, seen);
    }
    let Some(rows) = rows(document, schema) else { return };
    let mut described = rows.keys();
    for name in object.keys() {
        assert!(described.any(|row| row == name), "{path}: {name} is not where the schema has it");
        let path = format!("{path}.{name}");
        check(document, rows.get(name).unwrap(), object.get(name).unwrap(), &path, seen);
        seen.insert(path);
    }
}

#[test]
fn every_row_is_written_in_its_order() {
    let document: Ordered = serde_json::from_str(&read("output.schema.json")).unwrap();
    let definitions = document.get("$defs").unwrap();
    let mut seen = BTreeSet::new();
    let lines = lines();
    for line in lines.lines() {
        let object: Ordered = serde_json::from_str(line).unwrap();
        let kind = object.get("type").and_then(Ordered::text).unwrap();
        check(&document, definitions.get(kind).unwrap(), &object, kind, &mut seen);
    }
    let records = document.get("oneOf").unwrap().items().iter();
    let kinds = records.map(|record| record.get("$ref").and_then(Ordered::text).unwrap());
    for kind in kinds.map(|reference| reference.strip_prefix("#/$defs/").unwrap()) {
        for name in rows(&document, definitions.get(kind).unwrap()).unwrap().keys() {
            let path = format!("{kind}.{name}");
            // Only of `life` and of detectors whose tables were full, which no story has.
            let untold = ["summary.connections", "summary.uncounted"].contains(&path.as_str());
            assert!(seen.contains(&path) != untold, "{path}");
        }
    }
    for nested in ["transition.close.evidence", "transition.owner.others", "summary.half_open.lost.output"] {
        assert!(seen.contains(nested), "{nested}");
    }
}
