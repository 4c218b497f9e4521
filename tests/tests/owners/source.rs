//! The source of holders, according to `tcptrace doctor`.

use std::process::Command;

use serde_json::Value;
use tcptrace_tests::{
    degraded::{NO_BTF, under},
    host,
    machine::{is_root, skip, tcptrace},
    process::output,
};

use crate::pid_namespace::in_one;

/// The row `holders` of a command that becomes `tcptrace`.
fn row(mut command: Command) -> Value {
    let output = output(command.args(["doctor", "-o", "json"]));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rows = report["rows"].as_array().expect("rows");
    rows.iter().find(|row| row["name"] == "holders").expect("a row").clone()
}

/// Whether the kernel's program works here; otherwise reports that `test` is skipped.
pub(crate) fn has_program(test: &str) -> bool {
    let row = row(Command::new(tcptrace()));
    let has = row["status"] == "ok";
    if !has {
        skip(test, row["found"].as_str().expect("a reason"));
    }
    has
}

#[test]
fn where_the_program_does_not_work_it_says_why() {
    let test = "where_the_program_does_not_work_it_says_why";
    if !is_root(test) || !has_program(test) {
        return;
    }
    let _host = host::share();
    let mut elsewhere = in_one();
    elsewhere.arg(tcptrace());
    let powerless = under("true", "setpriv --inh-caps=-all --bounding-set=-all");
    for (command, reason) in
        [(under(NO_BTF, ""), "type information"), (elsewhere, "pid namespace"), (powerless, "CAP_PERFMON")]
    {
        let row = row(command);
        assert_eq!(row["status"], "missing", "{row}");
        assert!(row["found"].as_str().is_some_and(|found| found.contains(reason)), "{reason}: {row}");
        assert!(row["instead"].as_str().is_some_and(|instead| instead.contains("/proc")), "{row}");
    }
}
