//! Saves a run of the lab as a scenario, to be replayed without root: `tcptrace-userspace/tests/scenarios.rs`.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use tcptrace_tests::process::output;

/// Writes the findings of a replay beside the capture, for a person to check before the scenario is kept.
pub(crate) fn save(capture: &Path, mut replay: Command, config: &str, arguments: &[&str]) {
    let report = output(&mut replay).stdout;
    let report: Value = serde_json::from_slice(&report).expect("a report");
    let findings = report["findings"].as_array().expect("findings").iter();
    let findings: Vec<Value> = findings
        .map(|finding| {
            json!({ "id": finding["id"], "severity": finding["severity"], "summary": finding["summary"] })
        })
        .collect();
    let scenario = json!({
        "arguments": arguments,
        "config": config,
        "verdict": report["verdict"],
        "findings": findings,
    });
    let text = serde_json::to_string_pretty(&scenario).expect("JSON") + "\n";
    fs::write(capture.with_extension("json"), text).expect("the scenario's file");
}
