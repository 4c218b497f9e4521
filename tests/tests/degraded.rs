//! Hosts where the kernel, or the administrator, withholds a feature: what still works, and what the tracer reports.

use std::{net::SocketAddr, process::Command, thread::sleep, time::Duration};

use nix::errno::Errno;
use tcptrace_tests::{
    degraded::{CAPABILITIES, CUT_BTF, NO_BTF, NO_TRACEFS, RHEL_8, described, under},
    fixture::Fixture,
    machine::{is_root, release, skip},
    net::{Family, abort, begin_connect, connect_error, deafen, hear, listen, pair, read_error, socket},
    netns::V4,
    process::output,
    tracer::{Report, Tracer},
};

/// Opens and closes a listener while the tracer runs; returns the tracer's output.
fn traced(mut command: Command) -> Report {
    let world = Fixture::new();
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

/// Asserts that the output has the fields of the record alone, and that all others are shown as unknown.
fn assert_record_alone(report: &Report) {
    let lines = report.of_type("transition");
    for line in &lines {
        assert!(line["netns"].is_null() && line["context"]["in_process"].is_null(), "{line}");
        assert_eq!(line["owner"]["pid"], std::process::id(), "{line}");
    }
    let close = &lines[1]["close"];
    assert!(close["error"].is_null() && close["bytes_acked"].is_null(), "unknown is not 0: {close}");
}

/// The record alone gives transitions, addresses, and the owner where only a system call makes the transition.
#[test]
fn without_type_information_the_record_is_enough() {
    if !is_root("without_type_information_the_record_is_enough") {
        return;
    }
    assert_record_alone(&traced(under(NO_BTF, "")));
}

/// Without type information the socket's error and retransmissions cannot be read; other events of the kernel report
/// them.
#[test]
fn without_type_information_other_events_tell_why() {
    if !is_root("without_type_information_other_events_tell_why") {
        return;
    }
    let world = Fixture::new();
    let ports = world.ports();
    let (listening, refusing) = (ports.listen(Family::V4), ports.port(9));
    let mut tracer = Tracer::spawn(under(NO_BTF, "").args(["-o", "json", "--half-open"]));
    tracer.read();
    let sent_again = world.namespace.run(move || {
        let refused = SocketAddr::new(listening.ip(), refusing);
        assert_eq!(connect_error(refused), Errno::ECONNREFUSED as i32);
        let listener = listen(listening);
        let (client, server) = pair(&listener, listening);
        abort(client);
        assert_eq!(read_error(&server), Errno::ECONNRESET as i32);
        let (client, server_2) = pair(&listener, listening);
        deafen(&server_2);
        client.send(b"x").expect("send");
        sleep(Duration::from_secs(1));
        hear(&server_2);
        sleep(Duration::from_secs(1));
        drop((client, server, server_2));
        let sent_again = segments_sent_again();
        let deaf = socket(listening);
        deafen(&deaf);
        begin_connect(&deaf, listening);
        sleep(Duration::from_millis(1_500));
        drop((deaf, listener));
        sent_again
    });
    world.settle(12);
    let report = tracer.stop();
    report.assert_lossless();

    let closed: Vec<_> =
        report.of_type("transition").into_iter().filter(|line| line["new_state"] == "CLOSE").collect();
    let told = |port: &str, number: u16| -> Vec<_> {
        let of_it = closed.iter().filter(|line| line[port] == number && line["old_state"] != "LISTEN");
        of_it.map(|line| &line["close"]).collect()
    };
    let [refused] = told("rport", refusing)[..] else { panic!("{}", report.stdout) };
    if release() < (5, 14) {
        assert!(refused["error"].is_null() && refused["cause"].is_null(), "no event reports it: {refused}");
        return;
    }
    assert_eq!((&refused["error"], &refused["cause"]), (&111.into(), &"refused".into()), "{refused}");
    let (clients, servers) = (told("rport", listening.port()), told("lport", listening.port()));
    let reset = servers.iter().find(|close| close["error"] == 104).expect("one was reset");
    assert_eq!(reset["cause"], "reset_by_peer", "{reset}");
    let synacks = report.of_type("half_open").into_iter().filter(|line| {
        line["what"] == "retransmit" && line["lport"] == listening.port() && line["laddr"] == V4.to_string()
    });
    assert!(synacks.count() > 0, "{}", report.stdout);
    assert!(sent_again > 0, "nothing was lost");
    let counted: Vec<_> = clients.iter().map(|close| close["retransmits"].as_u64()).collect();
    assert!(counted.contains(&Some(sent_again)) && counted.contains(&Some(0)), "{sent_again}: {counted:?}");
}

/// The namespace's own counter of retransmitted segments, `RetransSegs` (RFC 4022).
fn segments_sent_again() -> u64 {
    let snmp = std::fs::read_to_string("/proc/thread-self/net/snmp").expect("counters");
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let mut pairs = names.split(' ').zip(values.split(' '));
    let (_, value) = pairs.find(|(name, _)| *name == "RetransSegs").expect("a counter");
    value.parse().expect("a number")
}

/// Truncated type information counts as missing, and no part of it is used.
#[test]
fn damaged_type_information_is_not_used() {
    if !is_root("damaged_type_information_is_not_used") {
        return;
    }
    assert_record_alone(&traced(under(CUT_BTF, "")));
    refused(under(CUT_BTF, ""), &["--hook", "tp_btf"], &["BTF is damaged", "--hook tracepoint"]);
}

/// An unreadable record is refused by the name of the field; `tp_btf` does not need the record.
#[test]
fn a_record_that_is_not_understood_is_refused() {
    if !is_root("a_record_that_is_not_understood_is_refused") {
        return;
    }
    let said = ["saddr_v6 begins at byte 39", "refusing to guess"];
    refused(under(&described(RHEL_8), ""), &["--hook", "tracepoint"], &said);
    let report = traced(under(&described(RHEL_8), ""));
    assert!(report.stderr.contains("(tp_btf"), "{}", report.stderr);
}

#[test]
fn two_capabilities_are_enough() {
    if !is_root("two_capabilities_are_enough") {
        return;
    }
    if release() < (5, 11) {
        return skip("two_capabilities_are_enough", "the kernel counts maps against RLIMIT_MEMLOCK");
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

/// A limit of one locked page, against which kernels before 5.11 count maps, is no obstacle for root.
#[test]
fn the_limit_of_locked_memory_is_lifted() {
    if !is_root("the_limit_of_locked_memory_is_lifted") {
        return;
    }
    traced(under("ulimit -l 4", ""));
}
