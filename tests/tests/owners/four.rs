//! `trace`, `life`, `sockets` and `diagnose` name the same process first for a socket that several have open, and on
//! which none of them acts: the oldest, from which the others have inherited it.

use std::{
    fs,
    net::{Shutdown, SocketAddr},
    os::fd::AsFd as _,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use serde_json::Value;
use tcptrace_tests::{
    host,
    machine::{Hook, is_root, is_slow, tcptrace},
    net::{Family, abort, accept, connect, listen},
    netns::Namespace,
    process::{Running, output},
    slot::Slot,
    tracer::Tracer,
    wait::eventually,
};

/// Thresholds for a finding at the first scan.
const THRESHOLDS: &str = "[close-wait-leak]\ncount = 1\nage_s = 0\n";

#[test]
fn four_commands_name_the_same_process() {
    if !is_root("four_commands_name_the_same_process") {
        return;
    }
    let _host = host::share();
    let slot = Slot::take();
    let namespace = Namespace::new(&slot.ephemeral());
    let (path, port) = (namespace.path().to_owned(), slot.port(0));
    let [trace, life] = namespace.run(move || {
        let listener = listen(Family::V4.listen(port));
        let client = connect(Family::V4.connect(port));
        let local = client.local_addr().expect("its end").as_socket().expect("an address");
        let server = accept(&listener);
        // A process that is started now inherits the connection.
        fcntl(client.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())).expect("a flag");
        let mut younger = Running::spawn(Command::new("sleep").arg("60").stdin(Stdio::null()));
        fcntl(client.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("a flag");
        server.shutdown(Shutdown::Write).expect("its half");
        eventually("close-wait", || !first_of_sockets(&path, local).is_empty());

        let owner = std::process::id();
        assert_ne!(younger.pid(), owner);
        assert_eq!(first_of_sockets(&path, local), [owner], "sockets");
        assert_eq!(first_of_diagnose(&path), [owner], "diagnose");
        let arguments = ["-o", "json", "--netns", &path];
        let trace = Tracer::start(Hook::TpBtf, &arguments);
        let life = Tracer::start_life(Hook::TpBtf, &arguments);
        // Both dump the pre-existing sockets.
        sleep(Duration::from_secs(if is_slow() { 10 } else { 1 }));
        // The reset comes as a packet, in the context of no process.
        abort(server);
        trace.catch_up();
        life.catch_up();
        younger.child().kill().expect("it runs");
        let lines = [trace.stop().of_type("transition"), life.stop().of_type("connection")];
        lines.map(|lines| {
            let is_its = |line: &&Value| line["lport"] == local.port() && line["rport"] == port;
            let line = lines.iter().find(is_its).expect("its end").clone();
            assert_eq!(line["owner"]["pid"], owner, "{line}");
            line
        })
    });
    for line in [trace, life] {
        assert_eq!(line["owner"]["provenance"], "snapshot", "nobody acts: {line}");
    }
}

/// The first owner in `sockets` of a connection that waits to be closed.
fn first_of_sockets(netns: &str, local: SocketAddr) -> Vec<u32> {
    let output = output(Command::new(tcptrace()).args([
        "sockets",
        "-o",
        "json",
        "--netns",
        netns,
        "--state",
        "CLOSE_WAIT",
        "-L",
        &local.port().to_string(),
    ]));
    let text = String::from_utf8(output.stdout).expect("JSON");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.filter_map(|line| pid(&line["owners"][0])).collect()
}

/// The first owner in `diagnose` of a connection that is not closed.
fn first_of_diagnose(netns: &str) -> Vec<u32> {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("thresholds.toml");
    fs::write(&config, THRESHOLDS).expect("a file");
    let output = output(
        Command::new(tcptrace())
            .args([
                "diagnose",
                "-o",
                "json",
                "--duration",
                "2s",
                "--only",
                "close-wait-leak",
                "--netns",
                netns,
            ])
            .arg("--config")
            .arg(&config),
    );
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("findings").iter();
    findings.filter_map(|finding| pid(&finding["owners"][0])).collect()
}

fn pid(owner: &Value) -> Option<u32> {
    u32::try_from(owner["pid"].as_u64()?).ok()
}
