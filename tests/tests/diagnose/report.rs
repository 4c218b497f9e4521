//! The report as a whole: formats, exit codes, options.

use std::process::Command;

use nix::errno::Errno;
use tcptrace_tests::{
    machine::tcptrace,
    net::{Family, connect_error},
    process::output,
};

use crate::lab::Lab;

#[test]
fn an_idle_namespace_is_healthy() {
    let Some(lab) = Lab::new("an_idle_namespace_is_healthy") else { return };
    let diagnosis = lab.watch(2, &[], || ());
    diagnosis.assert_healthy();
    assert_eq!(diagnosis.json["sight"]["lost"], 0);
    assert_eq!(diagnosis.json["sight"]["missing"].as_array().map(Vec::len), Some(0), "{:#}", diagnosis.json);
    assert!(diagnosis.json["duration_s"].as_f64().is_some_and(|s| (2.0..4.0).contains(&s)));
    assert_eq!(diagnosis.stderr.lines().count(), 1, "{}", diagnosis.stderr);
}

#[test]
fn severities_and_kinds_decide_the_exit_code() {
    let Some(lab) = Lab::new("severities_and_kinds_decide_the_exit_code") else { return };
    let nobody = lab.slot.ports_to_bind().connect(Family::V4);
    let refused =
        move || (0..5).map(|_| connect_error(nobody)).all(|error| error == Errno::ECONNREFUSED as i32);
    let codes = [&[][..], &["--fail-on", "critical"], &["--skip", "connection-refused"]]
        .map(|arguments| lab.watch(2, arguments, refused).code);
    assert_eq!(codes, [Some(3), Some(0), Some(0)]);
}

#[test]
fn the_first_finding_may_end_it() {
    let Some(lab) = Lab::new("the_first_finding_may_end_it") else { return };
    let nobody = lab.slot.ports_to_bind().connect(Family::V4);
    let diagnosis = lab.watch(30, &["--until-finding", "--only", "connection-refused"], move || {
        (0..5).map(|_| connect_error(nobody)).all(|error| error == Errno::ECONNREFUSED as i32)
    });
    diagnosis.one("connection-refused");
    assert!(diagnosis.json["duration_s"].as_f64().is_some_and(|s| s < 20.0), "{:#}", diagnosis.json);
}

/// Thresholds are printed with their meaning, and what is printed can be read.
#[test]
fn thresholds() {
    let run = |arguments: &[&str]| output(Command::new(tcptrace()).arg("diagnose").args(arguments));
    let printed = run(&["--print-config"]);
    assert_eq!(printed.status.code(), Some(0));
    let directory = tempfile::TempDir::new().expect("a directory");
    let file = directory.path().join("thresholds.toml");
    std::fs::write(&file, &printed.stdout).expect("a file");
    let again = run(&["--print-config", "--config", file.to_str().expect("UTF-8")]);
    assert_eq!(again.stdout, printed.stdout);
    std::fs::write(&file, "[stuck]\ncuont = 1\n").expect("a file");
    let wrong = run(&["--config", file.to_str().expect("UTF-8")]);
    let stderr = String::from_utf8_lossy(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("cuont") && stderr.contains("thresholds.toml"), "{stderr}");
    for odd in [&["--only", "syn-food"][..], &["--expect-listen", "nginx:"], &["--config", "/nonexistent"]] {
        assert_eq!(run(odd).status.code(), Some(2), "{odd:?}");
    }
}
