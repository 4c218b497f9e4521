//! Where the kernel, or the administrator, withholds something: what still works, and what is said.

use std::process::Command;

use tcptrace_tests::{
    lacking::{CAPABILITIES, CUT_BTF, NO_BTF, NO_TRACEFS, format_of, under},
    machine::is_root,
    net::{Family, listen},
    process::output,
    tracer::{Report, Tracer},
    world::World,
};

/// A listener comes and goes while the tracer runs; returns what it printed.
fn traced(mut command: Command) -> Report {
    let world = World::new();
    let address = world.ports().listen(Family::V4);
    let port = address.port().to_string();
    let mut tracer = Tracer::spawn(command.args(["-o", "json", "-L", &port]));
    tracer.read();
    world.namespace.run(move || drop(listen(address)));
    world.settle(2);
    let report = tracer.stop();
    report.assert_lossless();
    assert_eq!(report.transitions().len(), 2, "{}", report.stdout);
    report
}

/// What the record alone gives, and that the rest is shown as unknown.
fn assert_record_alone(report: &Report) {
    let lines = report.of_type("transition");
    for line in &lines {
        assert!(line["netns"].is_null() && line["context"]["in_process"].is_null(), "{line}");
        assert_eq!(line["owner"]["pid"], std::process::id(), "{line}");
    }
    let close = &lines[1]["close"];
    assert!(close["error"].is_null() && close["bytes_acked"].is_null(), "unknown is not 0: {close}");
}

/// The record alone: transitions, addresses, and the owner where only a system call makes the transition.
#[test]
fn without_type_information_the_record_is_enough() {
    if !is_root("without_type_information_the_record_is_enough") {
        return;
    }
    assert_record_alone(&traced(under(NO_BTF, "")));
}

/// Type information that is cut short is as good as none, and nothing of it is used.
#[test]
fn damaged_type_information_is_not_used() {
    if !is_root("damaged_type_information_is_not_used") {
        return;
    }
    assert_record_alone(&traced(under(CUT_BTF, "")));
    refused(under(CUT_BTF, ""), &["--hook", "tp_btf"], &["BTF is damaged", "--hook tracepoint"]);
}

/// A record that this program cannot read is refused by the name of the field; the better hook does without it.
#[test]
fn a_record_that_is_not_understood_is_refused() {
    if !is_root("a_record_that_is_not_understood_is_refused") {
        return;
    }
    let said = ["saddr_v6 begins at byte 39", "refusing to guess"];
    refused(under(&format_of("rhel-8"), ""), &["--hook", "tracepoint"], &said);
    let report = traced(under(&format_of("rhel-8"), ""));
    assert!(report.stderr.contains("(tp_btf"), "{}", report.stderr);
}

#[test]
fn two_capabilities_are_enough() {
    if !is_root("two_capabilities_are_enough") {
        return;
    }
    let report = traced(under("true", CAPABILITIES));
    assert!(report.stderr.contains("(tp_btf"), "{}", report.stderr);
}

fn refused(mut command: Command, arguments: &[&str], said: &[&str]) {
    let output = output(command.args(arguments));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for part in said {
        assert!(stderr.contains(part), "{part:?} is missing in: {stderr}");
    }
}

#[test]
fn what_is_missing_is_named() {
    if !is_root("what_is_missing_is_named") {
        return;
    }
    refused(under(NO_BTF, ""), &["--hook", "tp_btf"], &["/sys/kernel/btf/vmlinux", "leave --hook out"]);
    refused(under(NO_BTF, ""), &["--netns", "1"], &["--netns", "BTF", "--local"]);
    let neither = format!("{NO_BTF} && {{ {NO_TRACEFS}; }}");
    refused(
        under(&neither, CAPABILITIES),
        &[],
        &["no way to trace", "tp_btf:", "tracepoint:", "mount -t tracefs"],
    );
}

/// One page locked at most, which kernels before 5.11 count maps against, is no obstacle for root.
#[test]
fn the_limit_of_locked_memory_is_lifted() {
    if !is_root("the_limit_of_locked_memory_is_lifted") {
        return;
    }
    traced(under("ulimit -l 4", ""));
}
