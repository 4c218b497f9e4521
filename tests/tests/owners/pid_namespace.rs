//! A trace from a pid namespace of its own, as in a container, whose process ids are not those of events.

use std::{path::Path, process::Command};

use tcptrace_tests::{
    host,
    machine::{is_root, skip, tcptrace},
    net::{Family, listen},
    netns::Namespace,
    tracer::Tracer,
};

/// Chooses the next process id of its namespace.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

/// `sleep` has the process id `$1` there, and `$2` and the rest run beside it.
const BESIDE_SLEEP: &str =
    r#"echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid; sleep 60 & shift; "$@"; code=$?; kill $!; exit $code"#;

/// Whoever has the same process id there is not taken for the process that acts.
#[test]
fn who_has_the_same_id_there() {
    let test = "who_has_the_same_id_there";
    if !is_root(test) {
        return;
    }
    if !Path::new(LAST_PID).exists() {
        return skip(test, "the kernel has no /proc/sys/kernel/ns_last_pid");
    }
    let _host = host::share();
    let namespace = Namespace::usual();
    let pid = std::process::id();
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "sh", "-c", BESIDE_SLEEP, "sh"]);
    command.arg(pid.to_string()).arg(tcptrace());
    command.args(["-o", "json", "--duration", "2s", "--netns", &namespace.inode().to_string()]);
    let mut tracer = Tracer::spawn(&mut command);
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
