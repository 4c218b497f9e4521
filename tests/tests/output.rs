//! The output in every format: it follows the schema, and is safe to print.

use std::{fs, os::unix::fs::symlink, path::Path};

use serde_json::Value;
use tcptrace_tests::{
    actor, both_hooks,
    fixture::{Fixture, Ports},
    machine::{Hook, helper, is_root, skip},
    net::{Family, connect_error, listen},
    steps,
    tracer::{Report, Tracer},
};

both_hooks!(json_follows_its_schema, hostile_names_are_escaped, columns);

fn traffic(ports: Ports) {
    for family in [Family::V4, Family::V6, Family::MappedServer] {
        steps::served(ports, family);
    }
    connect_error(ports.connect(Family::V4));
}

fn trace(hook: Hook, options: &[&str], body: impl FnOnce(Ports) + Send + 'static) -> Report {
    let world = Fixture::new();
    let netns = world.namespace.inode().to_string();
    let tracer = Tracer::start(hook, &[&["--netns", &netns], options].concat());
    let ports = world.ports();
    world.namespace.run(move || body(ports));
    world.settle(1);
    tracer.stop()
}

fn schema() -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/output.schema.json");
    let text = fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&text).expect("the schema is JSON"))
}

fn json_follows_its_schema(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let Some(schema) = schema() else {
        skip(name, "docs/output.schema.json is not there");
        return;
    };
    let validator =
        jsonschema::options().should_validate_formats(true).build(&schema).expect("a JSON Schema");
    // The output has transitions and a summary.
    let report = trace(hook, &["-o", "json"], traffic);
    report.assert_lossless();
    for line in report.stdout.lines() {
        let value: Value = serde_json::from_str(line).expect("JSON");
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {line}");
        let unknown = unknown_fields(&schema, &value);
        assert!(unknown.is_empty(), "the schema does not describe {unknown:?} of {line}");
    }
    assert!(report.of_type("transition").iter().any(|line| line["family"] == 6), "both families");
    // The schema rejects a wrong value.
    let mut wrong = report.of_type("transition").remove(0);
    wrong["lport"] = Value::from("80");
    assert!(!validator.is_valid(&wrong), "a port is a number");
}

/// Fields of an object that its definition in the schema lacks: the schema allows new fields, but describes all current
/// ones.
fn unknown_fields(schema: &Value, object: &Value) -> Vec<String> {
    let definition = &schema["$defs"][object["type"].as_str().expect("a type")]["properties"];
    let fields = object.as_object().expect("an object").keys();
    fields.filter(|field| definition.get(field).is_none()).cloned().collect()
}

/// A thread may have any name, with colours and a new line.
fn hostile_names_are_escaped(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    // A process is named after its program's file.
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("\u{1b}[31m\n\r,\"=x\u{202e}");
    symlink(helper(env!("CARGO_BIN_EXE_actor")), &program).expect("a link");
    for format in ["text", "wide", "json", "csv"] {
        let program = program.clone();
        let report = trace(hook, &["-o", format, "--color", "never"], move |ports| {
            actor::exit(actor::start_program(&program, "listen", ports.listen(Family::V4)).0);
        });
        assert_eq!(report.code, Some(0), "{}", report.stderr);
        let raw = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!report.stdout.contains(raw), "{format}: {:?}", report.stdout);
        let shown = report.stdout.matches(r"x1b[31m").count();
        assert!(shown >= 2, "{format} shows the name, escaped: {}", report.stdout);
        let header = usize::from(format != "json");
        let summary = usize::from(format == "json");
        assert_eq!(report.stdout.lines().count(), header + 2 + summary, "{format}: a line a transition");
    }
}

/// The same trace in text: a header, and a line for each transition with its columns.
fn columns(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let report = trace(hook, &["-T"], |ports| drop(listen(ports.listen(Family::V4))));
    let lines: Vec<Vec<&str>> = report.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    let [header, open, close] = &lines[..] else { panic!("three lines: {}", report.stdout) };
    assert_eq!(header[..4], ["TIME", "OWNER", "LOCAL", "REMOTE"]);
    let pid = format!("[{}]", std::process::id());
    for (line, states) in [(open, ["CLOSE", "->", "LISTEN"]), (close, ["LISTEN", "->", "CLOSE"])] {
        let text = line.join(" ");
        assert_eq!(line[0].len(), "12:34:56".len(), "{text}");
        assert!(text.contains(&pid) && text.contains(&states.join(" ")), "{text}");
        assert!(text.contains(" 192.0.2.1:") && text.contains(" 0.0.0.0:*"), "{text}");
    }
    assert_eq!(open.last(), Some(&"-"), "the time in CLOSE is not known");
    assert_ne!(close.last(), Some(&"-"), "the time in LISTEN is");
}
