//! The report under test.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tcptrace_tests::{machine::tcptrace, process::output};

/// A report in JSON, checked against the schema.
pub(crate) struct Report {
    pub(crate) json: Value,
    pub(crate) rows: BTreeMap<String, Value>,
    pub(crate) code: Option<i32>,
}

impl Report {
    pub(crate) fn of(mut command: Command, arguments: &[&str]) -> Self {
        let output = output(command.args(["doctor", "-o", "json"]).args(arguments));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(
            text.lines().count(),
            1,
            "one object: {text}; {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let json: Value = serde_json::from_str(&text).expect("JSON");
        let errors: Vec<String> = validator().iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {json:#}");
        let rows = json["rows"].as_array().expect("rows").iter();
        let rows = rows.map(|row| (row["name"].as_str().expect("a name").to_owned(), row.clone())).collect();
        Self { json, rows, code: output.status.code() }
    }

    pub(crate) fn status(&self, name: &str) -> &str {
        self.row(name)["status"].as_str().expect("a status")
    }

    pub(crate) fn found(&self, name: &str) -> &str {
        self.row(name)["found"].as_str().expect("a text")
    }

    pub(crate) fn row(&self, name: &str) -> &Value {
        self.rows.get(name).unwrap_or_else(|| panic!("no row {name} in {:#}", self.json))
    }

    pub(crate) fn assert_status(&self, status: &str, names: &[&str]) {
        for name in names {
            assert_eq!(self.status(name), status, "{name}: {}", self.row(name));
        }
    }
}

pub(crate) fn doctor(arguments: &[&str]) -> Report {
    Report::of(Command::new(tcptrace()), arguments)
}

pub(crate) fn document(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&document("doctor.schema.json")).expect("the schema is JSON");
    jsonschema::options().build(&schema).expect("a JSON Schema")
}

/// Standard output.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}
