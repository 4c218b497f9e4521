//! A trace from a separate pid namespace, as in a container. Process ids there differ from those of events.

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

/// The file that sets the next process id of a pid namespace.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

/// A script in which `sleep` has the process id `$1`, and `$2` and the rest run beside it.
const BESIDE_SLEEP: &str =
    r#"echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid; sleep 60 & shift; "$@"; code=$?; kill $!; exit $code"#;

/// A command that runs its arguments in a new pid namespace.
pub(crate) fn in_one() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc"]);
    command
}

/// `tcptrace` with these arguments, in a pid namespace where `sleep` has this process's id.
fn beside_sleep(arguments: &[&str]) -> Command {
    let mut command = in_one();
    command.args(["sh", "-c", BESIDE_SLEEP, "sh"]).arg(std::process::id().to_string());
    command.arg(tcptrace()).args(arguments);
    command
}

/// The owners of sockets are not known there, so the verdict need not be healthy.
#[test]
fn a_diagnosis_says_what_it_lacks() {
    if !may_choose_ids("a_diagnosis_says_what_it_lacks") {
        return;
    }
    let _host = host::share();
    let namespace = Namespace::usual();
    let netns = namespace.inode().to_string();
    let diagnosis = ["diagnose", "-o", "json", "--duration", "1s", "--netns", &netns];
    let output = output(&mut beside_sleep(&diagnosis));
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["verdict"], "insufficient", "{report}");
    let gaps = report["coverage"]["gaps"].to_string();
    assert!(gaps.contains("a container's process ids"), "{gaps}");
}

/// Whether process ids can be chosen here; otherwise reports that `test` is skipped.
fn may_choose_ids(test: &str) -> bool {
    let has = Path::new(LAST_PID).exists();
    if !has {
        skip(test, "the kernel has no /proc/sys/kernel/ns_last_pid");
    }
    has && is_root(test)
}

/// A process with the same id in that namespace is not taken for the acting process.
#[test]
fn who_has_the_same_id_there() {
    if !may_choose_ids("who_has_the_same_id_there") {
        return;
    }
    let _host = host::share();
    let namespace = Namespace::usual();
    let netns = namespace.inode().to_string();
    let mut tracer = Tracer::spawn(&mut beside_sleep(&["-o", "json", "--count", "2", "--netns", &netns]));
    tracer.read();
    namespace.run(|| drop(listen(Family::V4.listen(40_000))));
    let report = tracer.join();
    report.assert_lossless();
    assert!(report.stderr.contains("pid namespace"), "{}", report.stderr);
    let transitions = report.of_type("transition");
    assert_eq!(transitions.len(), 2, "{}", report.stdout);
    for transition in transitions {
        let owner = &transition["owner"];
        assert_eq!(owner["pid"], std::process::id(), "the host's id: {transition}");
        assert!(owner["exe"].is_null(), "of another process: {transition}");
    }
}
