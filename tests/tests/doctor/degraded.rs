//! Hosts without type information, tracefs or privileges.

use serde_json::Value;
use tcptrace_tests::{
    degraded::{
        CAPABILITIES, CUT_BTF, NO_BTF, NO_TRACEFS, RHEL_8, RHEL_9, TRACEFS, described, prepared, under,
    },
    host,
    machine::{is_root, public_copy, release},
    process::output,
};

use crate::report::{Report, stdout};

/// `nobody` in most distributions.
const NOBODY: u32 = 65_534;

const FEATURES: [&str; 10] = [
    "cookie",
    "netns",
    "lock",
    "error",
    "close_metrics",
    "close_evidence",
    "resets",
    "kernel_threads",
    "batches",
    "missed_runs",
];

/// Without privileges, the doctor reports what it could not find out, and that tracing is not possible.
#[test]
fn without_privileges() {
    if !is_root("without_privileges") {
        return;
    }
    let _host = host::share();
    let directory = tempfile::TempDir::new().expect("a directory");
    let binary = public_copy(directory.path());
    let as_nobody = || {
        let mut command =
            prepared(TRACEFS, &format!("setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups"));
        command.arg(&binary);
        command
    };
    let report = Report::of(as_nobody(), &["--measure"]);
    assert_eq!((report.code, &report.json["possible"]), (Some(1), &Value::Bool(false)));
    let verdict = report.json["verdict"].as_str().expect("a text");
    assert!(verdict.contains("not possible") && verdict.contains("sudo"), "{verdict}");
    assert_eq!(verdict.matches("CAP_PERFMON").count(), 1, "said once: {verdict}");
    report.assert_status("missing", &["tp_btf", "tracepoint", "capabilities"]);
    report.assert_status("unknown", &FEATURES);
    report.assert_status("unknown", &["ring_buffer", "tracefs", "others"]);
    assert!(report.json["cost"].is_null() && report.json["cost_error"].is_string());
    let text = stdout(&output(as_nobody().arg("doctor")));
    assert!(text.starts_with("Tracing is not possible here: "), "{text}");
}

#[test]
fn two_capabilities_are_enough_to_trace_but_not_to_measure() {
    if !is_root("two_capabilities_are_enough_to_trace_but_not_to_measure") {
        return;
    }
    let _host = host::share();
    let report = Report::of(under("true", CAPABILITIES), &["--measure"]);
    assert_eq!((report.code, &report.json["hook"]), (Some(0), &Value::from("tp_btf")));
    assert_eq!(report.found("capabilities"), "CAP_BPF, CAP_PERFMON");
    assert!(report.json["cost"].is_null());
    assert!(report.json["cost_error"].as_str().is_some_and(|why| why.contains("CAP_SYS_ADMIN")));
}

/// Without type information, the features that need it are missing, and the other hook is used.
#[test]
fn without_type_information() {
    if !is_root("without_type_information") {
        return;
    }
    let _host = host::share();
    let report = Report::of(under(NO_BTF, ""), &[]);
    assert_eq!((report.code, &report.json["hook"]), (Some(0), &Value::from("tracepoint")));
    report.assert_status("missing", &["tp_btf", "btf", "cookie", "netns", "lock", "kernel_threads"]);
    report.assert_status("limited", &["close_metrics"]);
    // The event that reports errors came with Linux 5.14.
    report.assert_status(if release() < (5, 14) { "missing" } else { "limited" }, &["error"]);
    report.assert_status("ok", &["tracepoint", "resets"]);
    let verdict = report.json["verdict"].as_str().expect("a text");
    assert!(verdict.contains("tp_btf") && verdict.contains("netns"), "what is missing is named: {verdict}");
    for name in ["tp_btf", "netns", "lock", "error"] {
        assert!(report.row(name)["consequence"].is_string(), "what is not seen: {}", report.row(name));
    }
}

/// Damaged type information is not reported as missing, and a record of another kernel is refused by the name of its
/// field.
#[test]
fn what_is_not_understood_is_named() {
    if !is_root("what_is_not_understood_is_named") {
        return;
    }
    let _host = host::share();
    let report = Report::of(under(CUT_BTF, ""), &[]);
    assert_eq!((report.code, &report.json["hook"]), (Some(0), &Value::from("tracepoint")));
    assert!(report.found("btf").contains("damaged"), "{}", report.row("btf"));
    let report = Report::of(under(&format!("{CUT_BTF}; {}", described(RHEL_8)), ""), &[]);
    assert_eq!((report.code, &report.json["hook"]), (Some(1), &Value::Null));
    assert!(report.found("tracepoint").contains("saddr_v6"), "{}", report.row("tracepoint"));
    let verdict = report.json["verdict"].as_str().expect("a text");
    assert!(verdict.contains("damaged") && verdict.contains("saddr_v6"), "both: {verdict}");
    // A program can be made for the layout of RHEL 9.
    assert_eq!(Report::of(under(&described(RHEL_9), ""), &[]).status("tracepoint"), "ok");
}

/// As root, the doctor mounts tracefs for its process alone. With two capabilities it does not, and needs no tracefs.
#[test]
fn without_tracefs() {
    if !is_root("without_tracefs") {
        return;
    }
    let _host = host::share();
    let report = Report::of(under(NO_TRACEFS, ""), &[]);
    assert_eq!(report.code, Some(0));
    report.assert_status("limited", &["tracefs"]);
    report.assert_status("ok", &["tp_btf", "tracepoint"]);
    let report = Report::of(under(NO_TRACEFS, CAPABILITIES), &[]);
    assert_eq!((report.code, &report.json["hook"]), (Some(0), &Value::from("tp_btf")));
    report.assert_status("missing", &["tracefs", "tracepoint"]);
    assert!(report.found("tracepoint").contains("mount -t tracefs"), "{}", report.row("tracepoint"));
}

#[test]
fn with_neither_it_fails_and_says_what_to_do() {
    if !is_root("with_neither_it_fails_and_says_what_to_do") {
        return;
    }
    let _host = host::share();
    let neither = format!("{NO_BTF} && {{ {NO_TRACEFS}; }}");
    let report = Report::of(under(&neither, CAPABILITIES), &[]);
    assert_eq!((report.code, &report.json["hook"]), (Some(1), &Value::Null));
    let verdict = report.json["verdict"].as_str().expect("a text");
    for part in ["not possible", "CONFIG_DEBUG_INFO_BTF=y", "mount -t tracefs"] {
        assert!(verdict.contains(part), "{part:?} is missing in: {verdict}");
    }
}
