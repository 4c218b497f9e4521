//! Namespaces that are born while a trace goes on: a sock_ops program knows them by a number that only somebody inside of them
//! can translate.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::MetadataExt as _,
    process::{Command, Stdio},
};

use serde_json::Value;
use tcptrace_tests::{
    actor, host,
    machine::{Hook, helper, is_root, is_slow},
    process::Running,
    tracer::Tracer,
};

/// The port of one listener in each of them.
const PORT: u16 = 7_999;

#[test]
fn each_namespace_has_its_name() {
    if !is_root("each_namespace_has_its_name") {
        return;
    }
    let _host = host::share();
    let count = if is_slow() { 30 } else { 300 };
    let tracer = Tracer::start(Hook::TpBtf, &["--half-open", "-o", "json", "-L", &PORT.to_string()]);
    let born: Vec<(u64, Running)> = (0..count).map(|_| connect_in_a_new_one()).collect();
    tracer.catch_up();
    let report = tracer.stop();
    report.assert_lossless();
    let lines = report.of_type("half_open");
    let begun: Vec<&Value> = lines.iter().filter(|line| line["what"] == "begin").collect();
    assert_eq!(begun.len(), count, "one in each: {lines:?}");
    let named: HashSet<u64> = begun.iter().filter_map(|line| line["netns"].as_u64()).collect();
    let expected: HashSet<u64> = born.iter().map(|(inode, _)| *inode).collect();
    assert_eq!(named, expected, "each SYN waits until its namespace is known");
}

/// A connection within a namespace of its own: its inode, and the process that keeps it.
fn connect_in_a_new_one() -> (u64, Running) {
    let script = format!("ip link set lo up && exec \"$0\" pair 127.0.0.1:{PORT}");
    let program = helper(env!("CARGO_BIN_EXE_actor"));
    let mut command = Command::new("unshare");
    command.args(["-n", "sh", "-c", &script]).arg(program).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut actor = Running::spawn(&mut command);
    let line = actor::act(&mut actor);
    assert!(line.starts_with("127.0.0.1:"), "the actor failed: '{line}'");
    let namespace = fs::metadata(format!("/proc/{}/ns/net", actor.pid())).expect("its namespace");
    (namespace.ino(), actor)
}
