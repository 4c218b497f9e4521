//! `trace`, `life` and `sockets` name the same process for the same socket, whichever process made it, holds it or has
//! ended. The reference is the test itself, with `/proc` and `ss` as witnesses.

use std::{
    collections::BTreeSet, fs, net::SocketAddr, path::PathBuf, process::Command, thread::sleep,
    time::Duration,
};

use serde_json::Value;
use tcptrace_tests::{
    host,
    machine::{Hook, is_root, is_slow},
    net::{Family, accept, connect, listen, read_end, wait_for_child, wait_for_established},
    netns::Namespace,
    process::output,
    slot::Slot,
    tracer::{Report as Traced, Tracer},
};

use crate::{
    actor::{self, Actor},
    report::{Pids, Report, ss},
};

/// The time that a trace takes to notice the end of a process, and to dump the holders of its sockets.
fn rest() -> Duration {
    Duration::from_secs(if is_slow() { 20 } else { 5 })
}

/// The subject of a situation.
struct Shown {
    /// Local end of the socket.
    local: SocketAddr,
    /// The processes that may be named.
    expected: Pids,
    /// Whether a process must be named. It need not be for a child whose listener's holders are not known yet.
    is_known: bool,
}

/// Makes a situation in a new namespace, with an address to listen on, while `trace` and `life` run. Asserts that both
/// name the processes that `situation` expects, by name and program.
fn agrees(
    name: &str,
    situation: impl FnOnce(u32, SocketAddr) -> Shown + Send + 'static,
) -> Option<[Traced; 2]> {
    if !is_root(name) {
        return None;
    }
    let _host = host::share();
    let slot = Slot::take();
    let namespace = Namespace::new(&slot.ephemeral());
    let (netns, address) = (namespace.inode(), Family::V4.listen(slot.port(0)));
    let arguments = ["-o", "json", "--netns", namespace.path()];
    let trace = Tracer::start(Hook::TpBtf, &arguments);
    let life = Tracer::start_life(Hook::TpBtf, &arguments);
    let shown = namespace.run(move || situation(netns, address));
    trace.catch_up();
    life.catch_up();
    let reports = [trace.stop(), life.stop()];
    for (report, kind) in reports.iter().zip(["transition", "connection"]) {
        let mut lines = report.of_type(kind);
        lines.retain(|line| line["lport"] == shown.local.port() && line["old_state"] != "CLOSE");
        assert!(!lines.is_empty(), "{kind} of {}: {} {}", shown.local, report.stdout, report.stderr);
        for line in &lines {
            assert_named(line, &shown.expected);
        }
        let last = lines.last().expect("checked");
        assert!(!shown.is_known || last["owner"].is_object(), "who ended it: {last}");
    }
    Some(reports)
}

/// Asserts that the owner of a line, if any, is one of these and completely known.
fn assert_named(line: &Value, expected: &Pids) {
    let owner = &line["owner"];
    if owner.is_null() {
        return;
    }
    let pid = u32::try_from(owner["pid"].as_u64().expect("a number")).expect("a process id");
    assert!(expected.contains(&pid), "{pid}, not {expected:?}: {line}");
    assert_eq!(owner["comm"], "actor", "{line}");
    // A process that has the listener only at its end may have ended before tcptrace could read it.
    if line["old_state"] == "LISTEN" && line["new_state"] == "CLOSE" && owner["exe"].is_null() {
        return;
    }
    assert_eq!(owner["exe"], exe().to_string_lossy().as_ref(), "{line}");
}

fn exe() -> PathBuf {
    fs::canonicalize(actor::path()).expect("a program")
}

/// The owners of a socket according to `tcptrace sockets`.
fn sockets(netns: u32, local: SocketAddr, state: &str) -> Pids {
    let report = Report::of(Command::new(tcptrace_tests::machine::tcptrace()).args([
        "sockets",
        "--netns",
        &netns.to_string(),
    ]));
    let pid = |owner: &Value| u32::try_from(owner["pid"].as_u64().expect("a number")).expect("a process id");
    report.owners(local, state).iter().map(pid).collect()
}

/// The process ids in an actor's line, and the address at its end.
fn told(line: &str) -> (Pids, SocketAddr) {
    let (pids, address) = line.rsplit_once(' ').expect("ids and an address");
    let pids: BTreeSet<u32> = pids.split(' ').map(|pid| pid.parse().expect("a process id")).collect();
    (pids, address.parse().expect("an address"))
}

/// The owners of an unaccepted child of the listener at `address`, according to `sockets`.
fn inherits(netns: u32, address: SocketAddr) -> Pids {
    let client = connect(address);
    wait_for_established(address.port());
    let owners = sockets(netns, address, "ESTABLISHED");
    drop(client);
    owners
}

#[test]
fn a_pre_fork_server() {
    agrees("a_pre_fork_server", |netns, address| {
        let (server, line) = Actor::acting(&["serve", "3", &address.to_string()]);
        let mut expected: Pids = line.split(' ').map(|pid| pid.parse().expect("a process id")).collect();
        expected.insert(server.pid());
        assert_eq!(inherits(netns, address), expected);
        server.end();
        Shown { local: address, expected, is_known: true }
    });
}

/// The daemon's first process ends once it listens, and another process has the listener.
#[test]
fn a_daemon() {
    agrees("a_daemon", |netns, address| {
        let (first, line) = Actor::acting(&["daemon", &address.to_string()]);
        let (expected, _) = told(&line);
        sleep(rest());
        assert_eq!(ss(address, "listening"), expected);
        assert!(!expected.contains(&first.pid()));
        assert_eq!(inherits(netns, address), expected);
        first.end();
        Shown { local: address, expected, is_known: false }
    });
}

#[test]
fn a_listener_that_was_handed_over() {
    agrees("a_listener_that_was_handed_over", |netns, address| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let path = path.to_str().expect("text");
        let mut receiver = Actor::receiving(path);
        let (sender, _) = Actor::acting(&["send", path, &address.to_string()]);
        receiver.act();
        sender.kill();
        sleep(rest());
        let expected = Pids::from([receiver.pid()]);
        assert_eq!(ss(address, "listening"), expected);
        assert_eq!(inherits(netns, address), expected);
        receiver.end();
        Shown { local: address, expected, is_known: false }
    });
}

/// The process that connected has ended, and its child has the connection.
#[test]
fn a_descriptor_that_was_inherited() {
    agrees("a_descriptor_that_was_inherited", |netns, address| {
        let listener = listen(address);
        let (first, line) = Actor::acting(&["leave", &address.to_string()]);
        let (mut expected, local) = told(&line);
        let server = accept(&listener);
        sleep(rest());
        assert_eq!(ss(local, "established"), expected);
        assert_eq!(sockets(netns, local, "ESTABLISHED"), expected);
        drop(server);
        wait_for_state(local, "close-wait");
        sleep(rest());
        assert_eq!(sockets(netns, local, "CLOSE_WAIT"), expected);
        // Until it ended, the connection was its own.
        expected.insert(first.pid());
        first.end();
        Shown { local, expected, is_known: true }
    })
    .into_iter()
    .flatten()
    .for_each(|report| {
        let ended = |line: &Value| line["type"] == "connection" || line["old_state"] == "CLOSE_WAIT";
        let owners = report.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        for line in owners.filter(|line| ended(line) && line["role"] != "server") {
            assert_ne!(line["owner"]["provenance"], "inherited", "{line}");
        }
    });
}

fn wait_for_state(local: SocketAddr, state: &str) {
    tcptrace_tests::wait::eventually(state, || {
        let ss = output(Command::new("ss").args(["-Htan", "state", state, "src", &local.to_string()]));
        !ss.stdout.is_empty()
    });
}

#[test]
fn a_thread_that_connects() {
    agrees("a_thread_that_connects", |netns, address| {
        let listener = listen(address);
        let (client, local) = Actor::acting(&["thread", &address.to_string()]);
        let local: SocketAddr = local.parse().expect("an address");
        let server = accept(&listener);
        let expected = Pids::from([client.pid()]);
        assert_eq!(ss(local, "established"), expected);
        assert_eq!(sockets(netns, local, "ESTABLISHED"), expected);
        client.end();
        read_end(&server);
        Shown { local, expected, is_known: true }
    });
}

/// The facts about the process stay with the last lines of its connection.
#[test]
fn a_client_that_ends() {
    agrees("a_client_that_ends", |netns, address| {
        let listener = listen(address);
        let (client, local) = Actor::acting(&["connect", &address.to_string()]);
        let local: SocketAddr = local.parse().expect("an address");
        let server = accept(&listener);
        let expected = Pids::from([client.pid()]);
        assert_eq!(sockets(netns, local, "ESTABLISHED"), expected);
        client.end();
        read_end(&server);
        sleep(Duration::from_millis(300));
        drop(server);
        Shown { local, expected, is_known: true }
    });
}

/// `ss` ends a connection of another process, and is not its owner.
#[test]
fn what_ss_kills_keeps_its_owner() {
    let reports = agrees("what_ss_kills_keeps_its_owner", |_, address| {
        let listener = listen(address);
        let (client, local) = Actor::acting(&["connect", &address.to_string()]);
        let local: SocketAddr = local.parse().expect("an address");
        wait_for_child(&listener);
        let killed =
            output(Command::new("ss").args(["-HKtn", "state", "established", "src", &local.to_string()]));
        assert!(killed.status.success(), "{killed:?}");
        tcptrace_tests::wait::eventually("the end", || ss(local, "established").is_empty());
        let expected = Pids::from([client.pid()]);
        client.end();
        Shown { local, expected, is_known: true }
    });
    let Some([trace, _]) = reports else { return };
    let mut ends = trace.of_type("transition");
    ends.retain(|line| line["new_state"] == "CLOSE" && line["owner"]["comm"] == "actor");
    assert!(ends.iter().any(|line| line["context"]["comm"] == "ss"), "{}", trace.stdout);
}

/// Commands that connect and end at once. tcptrace reads most of them while they live, since each wakes the reader.
#[test]
fn most_of_the_commands_that_end_at_once_are_known() {
    const NAME: &str = "most_of_the_commands_that_end_at_once_are_known";
    const COMMANDS: usize = 50;
    if !is_root(NAME) {
        return;
    }
    let _host = host::share();
    let slot = Slot::take();
    let namespace = Namespace::new(&slot.ephemeral());
    let address = Family::V4.listen(slot.port(0));
    let life = Tracer::start_life(Hook::TpBtf, &["-o", "json", "--netns", namespace.path()]);
    namespace.run(move || {
        let listener = listen(address);
        for _ in 0..COMMANDS {
            let mut flash = Actor::new(&["flash", &address.to_string()]);
            flash.begin();
            drop(accept(&listener));
            flash.end();
        }
    });
    life.catch_up();
    let mut clients = life.stop().of_type("connection");
    clients.retain(|line| line["role"] == "client");
    assert_eq!(clients.len(), COMMANDS);
    let exe = exe();
    let known = clients.iter().filter(|line| line["owner"]["exe"] == exe.to_string_lossy().as_ref()).count();
    assert!(known >= COMMANDS / 2, "{known} of {COMMANDS}");
    for line in &clients {
        assert_eq!(line["owner"]["comm"], "actor", "{line}");
    }
}
