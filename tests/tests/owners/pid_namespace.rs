//! A trace from a pid namespace of its own, as in a container, whose process ids are not those of events.

use std::{path::Path, process::Command};

use serde_json::Value;
use tcptrace_tests::{
    host,
    machine::{is_root, skip, tcptrace},
    net::{Family, listen},
    netns::Namespace,
    process::output,
    tracer::Tracer,
};

/// Chooses the next process id of its namespace.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

/// `sleep` has the process id `$1` there, and `$2` and the rest run beside it.
const BESIDE_SLEEP: &str =
    r#"echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid; sleep 60 & shift; "$@"; code=$?; kill $!; exit $code"#;

/// `tcptrace` with these arguments, in the namespace.
fn in_one(pid: u32, arguments: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "sh", "-c", BESIDE_SLEEP, "sh"]);
    command.arg(pid.to_string()).arg(tcptrace()).args(arguments);
    command
}

/// Whose sockets are is not known there: that is no clean bill.
#[test]
fn a_diagnosis_says_what_it_lacks() {
    let test = "a_diagnosis_says_what_it_lacks";
    if !is_root(test) || !has_last_pid(test) {
        return;
    }
    let _host = host::share();
    let namespace = Namespace::usual();
    let netns = namespace.inode().to_string();
    let diagnosis = ["diagnose", "-o", "json", "--duration", "1s", "--netns", &netns];
    let output = output(&mut in_one(std::process::id(), &diagnosis));
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["verdict"], "insufficient", "{report}");
    let missing = report["sight"]["missing"].to_string();
    assert!(missing.contains("a container's process ids"), "{missing}");
}

fn has_last_pid(test: &str) -> bool {
    let has = Path::new(LAST_PID).exists();
    if !has {
        skip(test, "the kernel has no /proc/sys/kernel/ns_last_pid");
    }
    has
}

/// Whoever has the same process id there is not taken for the process that acts.
#[test]
fn who_has_the_same_id_there() {
    let test = "who_has_the_same_id_there";
    if !is_root(test) || !has_last_pid(test) {
        return;
    }
    let _host = host::share();
    let namespace = Namespace::usual();
    let pid = std::process::id();
    let netns = namespace.inode().to_string();
    let mut tracer = Tracer::spawn(&mut in_one(pid, &["-o", "json", "--count", "2", "--netns", &netns]));
    tracer.read();
    namespace.run(|| drop(listen(Family::V4.listen(40_000))));
    let report = tracer.join();
    report.assert_lossless();
    assert!(report.stderr.contains("pid namespace"), "{}", report.stderr);
    let transitions = report.of_type("transition");
    assert_eq!(transitions.len(), 2, "{}", report.stdout);
    for transition in transitions {
        let owner = &transition["owner"];
        assert_eq!(owner["pid"], pid, "the host's id: {transition}");
        assert!(owner["exe"].is_null(), "of another process: {transition}");
    }
}
