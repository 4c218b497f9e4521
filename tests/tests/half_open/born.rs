//! Namespaces that are created during a trace: a sock_ops program knows them by a cookie that only a process inside
//! them can translate. The thread that reads the ring neither asks for the translation itself nor blocks on it.

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::fs::MetadataExt as _,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use nix::libc::{SYS_openat, SYS_openat2, SYS_setns, SYS_socket};
use serde_json::Value;
use tcptrace_tests::{
    actor, host,
    machine::{Hook, helper, is_root, is_slow},
    process::{Running, thread_named},
    syscalls::{Syscall, Syscalls},
    tracer::{Report, Tracer},
};

/// The port of one listener in each namespace.
const PORT: u16 = 7_999;

/// The longest time in nanoseconds that the thread which reads the ring may be in a system call, other than to wait for
/// events.
const LONGEST_NS: u64 = 20_000_000;

/// The time after which a trace has taken its first snapshot of this host.
const BEGUN: Duration = Duration::from_secs(2);

/// A namespace, by its inode, and the process that keeps it alive and has a connection in it.
struct Born {
    netns: u64,
    actor: Running,
}

#[test]
fn each_namespace_has_its_name_and_the_ring_goes_on() {
    if !is_root("each_namespace_has_its_name_and_the_ring_goes_on") {
        return;
    }
    // The host is held, since other tests' work on it would cost the thread time.
    let _host = host::alone();
    let count = if is_slow() { 30 } else { 300 };
    let tracer = Tracer::start(Hook::TpBtf, &["--half-open", "-o", "json"]);
    sleep(BEGUN);
    let syscalls = Syscalls::of(thread_named(tracer.pid(), "ring"));
    let born: Vec<Born> = (0..count).map(|_| connect_in_a_new_one()).collect();
    tracer.catch_up();
    let syscalls = syscalls.stop();
    let report = tracer.stop();
    report.assert_lossless();
    assert_named(&report, &born);
    assert_owned(&report, &born);
    assert_goes_on(&syscalls);
}

/// Asserts that each SYN has its namespace, for which the record waits.
fn assert_named(report: &Report, born: &[Born]) {
    let lines = report.of_type("half_open");
    let begun: Vec<&Value> =
        lines.iter().filter(|line| line["what"] == "begin" && line["lport"] == PORT).collect();
    assert_eq!(begun.len(), born.len(), "one in each: {lines:?}");
    let named: HashSet<u64> = begun.iter().filter_map(|line| line["netns"].as_u64()).collect();
    let expected: HashSet<u64> = born.iter().map(|one| one.netns).collect();
    assert_eq!(named, expected);
}

/// Asserts that each connection has its process, with the program of the process.
fn assert_owned(report: &Report, born: &[Born]) {
    let connects = report.transitions().into_iter().map(|transition| transition.json);
    let connects = connects.filter(|json| json["new_state"] == "SYN_SENT" && json["rport"] == PORT);
    let mut expected: HashMap<u64, u32> = born.iter().map(|one| (one.netns, one.actor.pid())).collect();
    for transition in connects {
        let netns = transition["netns"].as_u64().expect("its namespace");
        let pid = expected.remove(&netns).expect("one of each namespace");
        let owner = &transition["owner"];
        assert_eq!(owner["pid"].as_u64(), Some(pid.into()), "{transition}");
        assert!(owner["exe"].as_str().is_some_and(|exe| exe.ends_with("/actor")), "{transition}");
    }
    assert!(expected.is_empty(), "connections of {} namespaces are not shown", expected.len());
}

/// Asserts that the thread opens no file, enters no namespace, makes no socket, and is in no other call for long.
fn assert_goes_on(syscalls: &[Syscall]) {
    let has = |number| syscalls.iter().filter(|syscall| syscall.number == number).count();
    assert!(syscalls.iter().any(Syscall::waits), "it is the thread that waits for events");
    assert_eq!([SYS_openat, SYS_openat2, SYS_setns, SYS_socket].map(has), [0; 4], "opens, enters, asks");
    let works = syscalls.iter().filter(|syscall| !syscall.waits());
    let longest = works.max_by_key(|syscall| syscall.took_ns).expect("it works");
    assert!(longest.took_ns <= LONGEST_NS, "{longest:?} of {}", syscalls.len());
}

/// Makes a connection within a new namespace.
fn connect_in_a_new_one() -> Born {
    let script = format!("ip link set lo up && exec \"$0\" pair 127.0.0.1:{PORT}");
    let program = helper(env!("CARGO_BIN_EXE_actor"));
    let mut command = Command::new("unshare");
    command.args(["-n", "sh", "-c", &script]).arg(program).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut actor = Running::spawn(&mut command);
    let line = actor::act(&mut actor);
    assert!(line.starts_with("127.0.0.1:"), "the actor failed: '{line}'");
    let namespace = fs::metadata(format!("/proc/{}/ns/net", actor.pid())).expect("its namespace");
    Born { netns: namespace.ino(), actor }
}
