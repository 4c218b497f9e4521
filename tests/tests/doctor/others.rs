//! Other tools on the event.

use std::process::Command;

use tcptrace_tests::{
    degraded::{TRACEFS, under},
    fixture::Fixture,
    host,
    machine::{Hook, is_root, tcptrace},
    process::{output, tool},
    tracer::Tracer,
};

use crate::report::{Report, doctor, stdout};

/// Other tools are named by the process that holds the program, and by the instance of tracefs that records the event.
#[test]
fn others_on_the_event_are_named() {
    if !is_root("others_on_the_event_are_named") {
        return;
    }
    let world = Fixture::new();
    let instance = format!("tracefs instance tcptrace-test-{}", world.slot.number());
    let tracer = Tracer::start(Hook::TpBtf, &["--quiet"]);
    let process = format!("tcptrace[{}]", tracer.pid());
    let report = Report::of(under(TRACEFS, ""), &[]);
    assert_eq!(report.status("others"), "limited");
    let found = report.found("others").to_owned();
    assert!(found.contains(&process) && found.contains(&instance), "{process}, {instance}: {found}");
    tracer.stop();
    drop(world);
    let found = Report::of(under(TRACEFS, ""), &[]).found("others").to_owned();
    assert!(!found.contains(&process) && !found.contains(&instance), "gone: {found}");
}

/// A classic tracepoint's program is found as well: on this event, or on an unknown one where the kernel does not
/// report it.
#[test]
fn classic_programs_are_named() {
    if !is_root("classic_programs_are_named") {
        return;
    }
    let _host = host::share();
    let tracer = Tracer::start(Hook::Tracepoint, &["--quiet"]);
    let process = format!("tcptrace[{}]", tracer.pid());
    let found = doctor(&[]).found("others").to_owned();
    assert!(found.contains(&process), "{process}: {found}");
    tracer.stop();
}

/// A process with a hostile name cannot send escape sequences to the terminal.
#[test]
fn hostile_names_are_escaped() {
    if !is_root("hostile_names_are_escaped") {
        return;
    }
    let _host = host::share();
    let directory = tempfile::TempDir::new().expect("a directory");
    let binary = directory.path().join("\u{1b}[31mred");
    tool("cp", [&tcptrace(), &binary]);
    let tracer = Tracer::spawn(Command::new(&binary).args(["--hook", "tp_btf", "--quiet"]));
    let text = stdout(&output(Command::new(tcptrace()).args(["doctor", "--color", "never"])));
    assert!(text.contains("\\x1b[31mred["), "{text}");
    assert!(!text.contains(|c: char| c != '\n' && c.is_control()), "{text:?}");
    tracer.stop();
}
