//! Every line of JSON follows `docs/sockets.schema.json`.

use std::{fs, path::Path};

use serde_json::Value;
use tcptrace_tests::{machine::is_root, net::Family, wait::eventually};

use crate::stage::{Stage, every_state};

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sockets.schema.json");
    let text = fs::read_to_string(path).expect("it is there");
    serde_json::from_str(&text).expect("the schema is JSON")
}

#[test]
fn json_follows_its_schema() {
    if !is_root("json_follows_its_schema") {
        return;
    }
    let schema = schema();
    let validator =
        jsonschema::options().should_validate_formats(true).build(&schema).expect("a JSON Schema");
    let stage = Stage::new();
    let first = stage.slot.port(0);
    stage.play(move |kept| {
        every_state(kept, |index| Family::V4.listen(first + index));
        every_state(kept, |index| Family::V6.listen(first + 20 + index));
    });
    eventually("TIME_WAIT is there", || stage.ss().iter().any(|line| line.state == "TIME_WAIT"));
    let mut types = Vec::new();
    for by in ["", "state", "process", "listener", "peer", "container"] {
        let arguments = if by.is_empty() { vec![] } else { vec!["--by", by] };
        let run = stage.look(&[&["-o", "json"], &arguments[..]].concat());
        for line in run.stdout.lines() {
            let value: Value = serde_json::from_str(line).expect("JSON");
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?} in {line}");
            let unknown = unknown_fields(&schema, &value);
            assert!(unknown.is_empty(), "the schema does not describe {unknown:?} of {line}");
            types.push(value["type"].as_str().expect("a type").to_owned());
        }
    }
    for expected in ["socket", "sockets_group", "sockets_summary"] {
        assert!(types.iter().any(|one| one == expected), "{expected}");
    }
    // The schema rejects a wrong value.
    let mut wrong = stage.look(&["-o", "json"]).sockets().remove(0);
    wrong["lport"] = Value::from("80");
    assert!(!validator.is_valid(&wrong), "a port is a number");
    stage.drop_sockets();
}

/// Fields that the schema does not describe, although it allows new ones.
fn unknown_fields(schema: &Value, object: &Value) -> Vec<String> {
    let definition = &schema["$defs"][object["type"].as_str().expect("a type")]["properties"];
    let fields = object.as_object().expect("an object").keys();
    fields.filter(|field| definition.get(field).is_none()).cloned().collect()
}
