//! One watch of all situations.

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;
use tcptrace_tests::{
    host,
    labs::{self, Situation, stage},
    machine::tcptrace,
    process::{Running, collect},
};

use crate::{
    early::{Reported, Shipped},
    judge::Verdict,
};

/// Longer than the minute of silence after which a connection may be a phantom, plus the time for the watch to begin.
const SECONDS: u64 = 80;
const LIMIT: Duration = Duration::from_secs(SECONDS + 40);

/// Makes only situations with this word in their name.
pub(crate) fn only() -> Option<String> {
    env::var("TCPTRACE_LABS").ok()
}

/// The findings of the whole host.
pub(crate) struct Watched {
    /// Findings of a diagnosis, at its end.
    pub(crate) findings: Vec<Value>,
    /// Findings of a trace, at their first report.
    pub(crate) reported: Vec<Reported>,
    pub(crate) shipped: Shipped,
}

/// Sets all situations up, watches the host, and judges.
pub(crate) fn watch() -> Vec<Verdict> {
    let _host = host::alone();
    let is_chosen = |one: &&Situation| only().is_none_or(|word| one.name.contains(&word));
    let situations: Vec<_> = labs::all().filter(is_chosen).collect();
    let made = stage::set_up(env!("CARGO_BIN_EXE_actor"), &situations);
    let trace = trace();
    let mut json = diagnose();
    let Value::Array(findings) = json["findings"].take() else { panic!("no findings in {json}") };
    let reported = trace.join().expect("lines of JSON");
    let watched = Watched { findings, reported, shipped: Shipped::read() };
    made.into_iter().map(|(situation, made)| Verdict::of(situation, made, &watched)).collect()
}

/// Begins to trace the whole host with the shipped thresholds. The thread returns the reported findings at the end.
fn trace() -> JoinHandle<Vec<Reported>> {
    let mut command = Command::new(tcptrace());
    command.args(["trace", "--findings", "-o", "json", "--duration", &format!("{SECONDS}s")]);
    let mut running =
        Running::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()));
    let stdout = BufReader::new(running.child().stdout.take().expect("a pipe"));
    thread::spawn(move || {
        let reported = stdout.lines().filter_map(|line| Reported::read(&line.expect("UTF-8"))).collect();
        running.wait(LIMIT);
        reported
    })
}

/// Diagnoses the whole host with the shipped thresholds. Only expected listeners have no shipped value.
fn diagnose() -> Value {
    let ports: Vec<String> = labs::all().flat_map(Situation::ports).map(|port| port.to_string()).collect();
    let mut command = Command::new(tcptrace());
    command.args([
        "diagnose",
        "-o",
        "json",
        "--expect-listen",
        &ports.join(","),
        "--duration",
        &format!("{SECONDS}s"),
    ]);
    let mut running =
        Running::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()));
    let stdout = collect(running.child().stdout.take().expect("a pipe"));
    running.wait(LIMIT);
    let bytes = stdout.recv_timeout(Duration::from_secs(10)).expect("its output ends with it");
    if let Some(path) = env::var_os("TCPTRACE_LABS_REPORT") {
        std::fs::write(path, &bytes).expect("a file");
    }
    serde_json::from_slice(&bytes).expect("a report in JSON")
}
