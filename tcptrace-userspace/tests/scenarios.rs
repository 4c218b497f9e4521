//! Captures of the fault lab with the findings that are expected in them: a detector or a case is added without root.
//! Each `NAME.capture` was recorded by `cargo xtask lab NAME --record DIRECTORY`, from a fault or from its look-alike.
//! `NAME.json` beside it has the expected outcome of `tcptrace diagnose --from`.

#[path = "../../tests/src/contradictions.rs"]
#[allow(unreachable_pub, reason = "it belongs to the tests on the real kernel, which have it in a library")]
mod contradictions;

use std::{collections::HashSet, fs, path::PathBuf, process::Command};

use serde::Deserialize;
use tcptrace_core::diagnosis::detect::REGISTRY;

/// The expected outcome.
#[derive(Deserialize)]
struct Scenario {
    /// Arguments of `tcptrace diagnose`.
    arguments: Vec<String>,
    /// The text of the file for its `--config`.
    config: String,
    verdict: String,
    findings: Vec<Finding>,
}

/// The fields of a finding that are compared.
#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Finding {
    id: String,
    severity: String,
    summary: String,
}

/// The output of `tcptrace diagnose -o json`.
#[derive(Debug, Deserialize)]
struct Report {
    verdict: String,
    findings: Vec<Finding>,
}

fn scenarios() -> Vec<(PathBuf, Scenario)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let files = fs::read_dir(directory).expect("scenarios").map(|file| file.expect("a file").path());
    let captures = files.filter(|path| path.extension().is_some_and(|extension| extension == "capture"));
    let read = |capture: PathBuf| {
        let path = capture.with_extension("json");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let scenario =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (capture, scenario)
    };
    captures.map(read).collect()
}

#[test]
fn captures_replay_to_the_same_verdict() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("thresholds.toml");
    for (capture, scenario) in scenarios() {
        fs::write(&config, &scenario.config).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcptrace"));
        command.args(["diagnose", "-o", "json", "--from"]).arg(&capture).arg("--config").arg(&config);
        let output = command.args(&scenario.arguments).output().expect("it runs");
        let name = capture.display();
        let report: Report = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{name}: {error}; {}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(report.verdict, scenario.verdict, "{name}: {report:#?}");
        assert_eq!(report.findings, scenario.findings, "{name}");
        let code = if report.verdict == "findings" { 3 } else { 0 };
        assert_eq!(output.status.code(), Some(code), "{name}");
    }
}

/// Captures of older versions as well: no cause contradicts its own record.
#[test]
fn no_cause_contradicts_its_record() {
    let mut causes = 0;
    for (capture, _) in scenarios() {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcptrace"));
        let output = command.args(["trace", "-o", "json", "--from"]).arg(&capture).output().expect("it runs");
        for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let record: serde_json::Value = serde_json::from_slice(line).expect("JSON");
            if record["type"] != "transition" || record["new_state"] != "CLOSE" {
                continue;
            }
            let contradiction = contradictions::contradiction(&record);
            assert_eq!(contradiction, None, "{}: {record}", capture.display());
            causes += usize::from(record["close"]["cause"].is_string());
        }
    }
    assert!(causes > 1_000, "{causes} causes");
}

#[test]
fn every_detector_has_a_fault_and_healthy_ones_stay_healthy() {
    let scenarios = scenarios();
    let found: HashSet<&str> = scenarios
        .iter()
        .flat_map(|(_, scenario)| &scenario.findings)
        .filter(|finding| finding.severity != "info")
        .map(|finding| finding.id.as_str())
        .collect();
    for id in REGISTRY.iter().flat_map(|entry| entry.ids) {
        assert!(
            found.contains(id),
            "no scenario for {id}: make one by cargo xtask lab NAME --record DIRECTORY"
        );
    }
    let healthy = scenarios.iter().filter(|(_, scenario)| scenario.verdict == "healthy").count();
    assert!(healthy >= 10, "{healthy} healthy ones");
}
