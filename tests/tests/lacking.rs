//! Where the kernel, or the administrator, withholds something: what still works, and what is said.

use std::process::Command;

use tcptrace_tests::{
    lacking::{CAPABILITIES, NO_BTF, NO_TRACEFS, under},
    machine::is_root,
    net::{Family, listen},
    process::output,
    tracer::Tracer,
    world::World,
};

/// A listener comes and goes while the tracer runs; returns what it printed.
fn traced(mut command: Command) -> tcptrace_tests::tracer::Report {
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

/// The record alone: transitions, addresses, and the owner where only a system call makes the transition.
#[test]
fn without_type_information_the_record_is_enough() {
    if !is_root("without_type_information_the_record_is_enough") {
        return;
    }
    let report = traced(under(NO_BTF, ""));
    let lines = report.of_type("transition");
    for line in &lines {
        assert!(line["netns"].is_null() && line["context"]["in_process"].is_null(), "{line}");
        assert_eq!(line["owner"]["pid"], std::process::id(), "{line}");
    }
    let close = &lines[1]["close"];
    assert!(close["error"].is_null() && close["bytes_acked"].is_null(), "unknown is not 0: {close}");
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
