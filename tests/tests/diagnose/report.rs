//! The report as a whole: formats, exit codes, options.

use std::{net::SocketAddr, os::unix::fs::PermissionsExt, process::Command};

use nix::errno::Errno;
use tcptrace_tests::{
    machine::tcptrace,
    net::{Family, connect_error, listen, pair},
    netns::sysctl,
    process::{output, tool},
    syn,
    tracer::{Report, Tracer},
};

use crate::lab::Lab;

#[test]
fn an_idle_namespace_is_healthy() {
    let Some(lab) = Lab::new("an_idle_namespace_is_healthy") else { return };
    let diagnosis = lab.watch(2, &[], || ());
    diagnosis.assert_healthy();
    assert_eq!(diagnosis.json["coverage"]["lost"], 0);
    assert_eq!(diagnosis.json["coverage"]["gaps"].as_array().map(Vec::len), Some(0), "{:#}", diagnosis.json);
    assert!(diagnosis.json["duration_s"].as_f64().is_some_and(|s| (2.0..4.0).contains(&s)));
    assert_eq!(diagnosis.stderr.lines().count(), 1, "{}", diagnosis.stderr);
}

#[test]
fn severities_and_kinds_decide_the_exit_code() {
    let Some(lab) = Lab::new("severities_and_kinds_decide_the_exit_code") else { return };
    let ports = lab.slot.ports_to_bind();
    let refused = move || {
        // This is a warning only, since the program's other connections succeed.
        let listener = listen(ports.listen(Family::V4));
        let served = pair(&listener, ports.connect(Family::V4));
        let nobody = SocketAddr::new(ports.connect(Family::V4).ip(), ports.port(1));
        assert!((0..5).all(|_| connect_error(nobody) == Errno::ECONNREFUSED as i32));
        (listener, served)
    };
    let codes = [&[][..], &["--fail-on", "critical"], &["--skip", "connection-refused"]]
        .map(|arguments| lab.watch(2, arguments, refused).code);
    assert_eq!(codes, [Some(3), Some(0), Some(0)]);
}

#[test]
fn the_first_finding_may_end_it() {
    let Some(lab) = Lab::new("the_first_finding_may_end_it") else { return };
    let nobody = lab.slot.ports_to_bind().connect(Family::V4);
    let diagnosis = lab.watch(30, &["--only", "connection-refused", "--until-finding"], move || {
        (0..5).map(|_| connect_error(nobody)).all(|error| error == Errno::ECONNREFUSED as i32)
    });
    diagnosis.one("connection-refused");
    assert!(diagnosis.json["duration_s"].as_f64().is_some_and(|s| s < 20.0), "{:#}", diagnosis.json);
}

/// A trace in which five attempts are refused, with its findings in this format.
fn traced_refusals(lab: &Lab, format: &str) -> Report {
    let nobody = lab.slot.ports_to_bind().connect(Family::V4);
    let mut command = Command::new(tcptrace());
    command.args(["--findings", "--duration", "7s", "-o", format, "--netns", lab.namespace.path()]);
    let mut tracer = Tracer::spawn(&mut command);
    tracer.read();
    lab.namespace.run(move || {
        assert!((0..5).all(|_| connect_error(nobody) == Errno::ECONNREFUSED as i32));
    });
    let report = tracer.join();
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    report
}

/// A trace prints a finding once, among the transitions that it follows from.
#[test]
fn findings_in_a_trace() {
    let Some(lab) = Lab::new("findings_in_a_trace") else { return };
    for (format, mark) in
        [("json", "\"id\":\"connection-refused\""), ("text", "CRITICAL connection-refused: ")]
    {
        let report = traced_refusals(&lab, format);
        assert_eq!(report.stdout.matches(mark).count(), 1, "{}", report.stdout);
    }
}

/// Findings do not fit into rows of transitions: the output keeps its rows.
#[test]
fn findings_beside_rows() {
    let Some(lab) = Lab::new("findings_beside_rows") else { return };
    let report = traced_refusals(&lab, "csv");
    let mark = "tcptrace: CRITICAL connection-refused: ";
    assert_eq!(report.stderr.matches(mark).count(), 1, "{}", report.stderr);
    let columns = |line: &str| line.matches(',').count();
    let header = report.stdout.lines().next().map(columns);
    assert!(report.stdout.lines().all(|line| Some(columns(line)) == header), "{}", report.stdout);
}

/// A trace shows a flood among its transitions, whether half-open connections are printed or not.
#[test]
fn a_flood_in_a_trace() {
    let Some(lab) = Lab::new("a_flood_in_a_trace") else { return };
    let ports = lab.slot.ports_to_bind();
    let listener = lab.namespace.hold(move || {
        tool("ip", ["route", "add", "203.0.113.0/24", "dev", "lo"]);
        sysctl("net/ipv4/tcp_syncookies", "0");
        let listener = listen(ports.listen(Family::V4));
        listener.listen(1_000).expect("listen");
        listener
    });
    let start = |more: &[&str]| {
        let mut command = Command::new(tcptrace());
        command.args(["--findings", "--duration", "7s", "-o", "json", "--netns", lab.namespace.path()]);
        let mut tracer = Tracer::spawn(command.args(more));
        tracer.read();
        tracer
    };
    let (hidden, shown) = (start(&[]), start(&["--half-open"]));
    lab.namespace.run(move || syn::flood(ports.connect(Family::V4), 200));
    for (tracer, half_open) in [(hidden, false), (shown, true)] {
        let report = tracer.join();
        assert_eq!(report.code, Some(0), "{}", report.stderr);
        assert_eq!(report.stdout.matches("\"id\":\"syn-flood\"").count(), 1, "{}", report.stdout);
        assert_eq!(report.lines_of_type("half_open").count() > 0, half_open);
    }
    drop(listener);
}

/// A program gets each finding once, while the watch goes on. The failure of the program is reported, and has no other
/// effect.
#[test]
fn a_program_is_told_of_findings() {
    let Some(lab) = Lab::new("a_program_is_told_of_findings") else { return };
    let ports = lab.slot.ports_to_bind();
    let directory = tempfile::TempDir::new().expect("a directory");
    let program = directory.path().join("tell");
    let script = format!("#!/bin/sh\ncat >> '{}'/\"$1\"\nexit 7\n", directory.path().display());
    std::fs::write(&program, script).expect("a file");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("permissions");
    let fault = move || {
        let nobody = ports.connect(Family::V4);
        assert!((0..5).all(|_| connect_error(nobody) == Errno::ECONNREFUSED as i32));
    };
    let told = lab.watch(4, &["--on-finding", program.to_str().expect("UTF-8")], fault);
    let text = std::fs::read_to_string(directory.path().join("connection-refused")).expect("it was told");
    let json: serde_json::Value = serde_json::from_str(&text).expect("one finding, once");
    assert_eq!((&json["id"], &json["severity"]), (&"connection-refused".into(), &"critical".into()));
    assert_eq!(told.code, Some(3));
    assert!(told.stderr.contains("--on-finding: it ended with exit status: 7"), "{}", told.stderr);
    let missing = lab.watch(3, &["--on-finding", "/nonexistent"], fault);
    assert_eq!(missing.code, Some(3));
    assert!(missing.stderr.contains("/nonexistent: No such file"), "{}", missing.stderr);
}

/// Thresholds are printed with their descriptions, and the printed text is a valid configuration.
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
    for (text, helpful) in [
        ("[stuck]\ncuont = 1\n", "cuont"),
        ("[syn-flood]\nnever_completed = nan\n", "NaN is no threshold"),
        ("[stuck]\nfin_timeouts = inf\n", "a number from 0 on"),
        ("[stuck]\ncount = 0\n", "count = 0"),
    ] {
        std::fs::write(&file, text).expect("a file");
        let wrong = run(&["--config", file.to_str().expect("UTF-8")]);
        let stderr = String::from_utf8_lossy(&wrong.stderr);
        assert_eq!(wrong.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(helpful) && stderr.contains("thresholds.toml"), "{stderr}");
    }
    for odd in [&["--only", "syn-food"][..], &["--expect-listen", "nginx:"], &["--config", "/nonexistent"]] {
        assert_eq!(run(odd).status.code(), Some(2), "{odd:?}");
    }
}
