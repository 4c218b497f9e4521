//! Pre-existing sockets, and the states after CLOSE: compared with the steps of the test, and with `ss`.

use std::{
    net::Shutdown,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;
use tcptrace_tests::{
    actor, both_hooks,
    fixture::Fixture,
    machine::{self, Hook, is_root, is_slow},
    net::{self, Family, accept, listen, read_end},
    netns::{V4, sysctl},
    process::output,
    tracer::{Report, Tracer},
};

both_hooks!(owner_and_age, of_one_process, after_close, no_room_for_more, ports_taken_again);

/// The time that sockets exist before the trace, and that connections stay in a state.
fn rest() -> Duration {
    if is_slow() { Duration::from_secs(4) } else { Duration::from_millis(400) }
}

fn trace(hook: Hook, world: &Fixture) -> Tracer {
    // The namespace is given by its path: only a thread of this process is in it.
    Tracer::start(hook, &["-o", "json", "--netns", world.namespace.path()])
}

/// The sockets in TIME_WAIT of the calling thread's namespace according to `ss`, one in each line.
fn in_time_wait() -> String {
    let ss = output(Command::new("ss").args(["--tcp", "--numeric", "--no-header", "state", "time-wait"]));
    String::from_utf8(ss.stdout).expect("text")
}

/// All transitions between these states.
fn transitions(report: &Report, old: &str, new: &str) -> Vec<Value> {
    let mut all = report.of_type("transition");
    all.retain(|line| line["old_state"] == old && line["new_state"] == new);
    all
}

/// The only transition between these states.
fn transition(report: &Report, old: &str, new: &str) -> Value {
    let mut all = transitions(report, old, new);
    assert_eq!(all.len(), 1, "{old} -> {new}: {}", report.stdout);
    all.remove(0)
}

/// A pre-existing connection and listener: their owners, and times in state that are no shorter than the trace's.
fn owner_and_age(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let world = Fixture::new();
    let ports = world.ports();
    let (ready, begun) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let job = world.namespace.begin(move || {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = net::pair(&listener, ports.connect(Family::V4));
        ready.send(()).expect("someone waits");
        gone.recv().expect("the trace runs");
        drop(client);
        read_end(&server);
        drop(server);
        // A child of the pre-existing listener. No process acts on it before its first transitions.
        drop(net::pair(&listener, ports.connect(Family::V4)));
    });
    begun.recv().expect("sockets");
    sleep(rest());
    let tracer = trace(hook, &world);
    sleep(rest());
    go.send(()).expect("it waits");
    job.wait();
    world.settle(20);
    let report = tracer.stop();
    report.assert_lossless();

    let older = &transitions(&report, "ESTABLISHED", "CLOSE_WAIT")[0];
    assert_eq!(older["owner"]["pid"], std::process::id(), "{older}");
    assert_eq!(older["owner"]["provenance"], "snapshot", "{older}");
    assert!(older["duration_us"].is_null(), "its beginning was not seen: {older}");
    let least = older["duration_min_us"].as_u64().expect("it was seen in its state");
    let seen = u64::try_from(rest().as_micros()).expect("microseconds");
    assert!((seen / 2..20 * seen).contains(&least), "{older}");
    let child = transition(&report, "LISTEN", "SYN_RECV");
    assert_eq!(child["owner"]["pid"], std::process::id(), "{child}");
    assert_eq!(child["owner"]["provenance"], "inherited", "{child}");
    let exe = child["owner"]["exe"].as_str().expect("a living process has a program");
    assert_eq!(exe, std::env::current_exe().expect("its path").to_str().expect("UTF-8"));
}

/// The peer closes late: FIN_WAIT2 continues in a timewait socket, and the transition to TIME_WAIT has the time at
/// which it happened. This holds even for a trace of one process, although a timewait socket has none.
fn after_close(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let world = Fixture::new();
    let ports = world.ports();
    let pid = std::process::id().to_string();
    // The traces end with TIME_WAIT, the last transition of the listener and both sides.
    let last = ["-o", "json", "--netns", world.namespace.path(), "--count", "12"];
    let tracers = [&last[..], &[&last[..], &["-p", &pid]].concat()].map(|all| Tracer::start(hook, all));
    let (tell, closed_after) = std::sync::mpsc::channel();
    // The listener stays open, since its end would be reported, too.
    let listener = world.namespace.hold(move || {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = net::pair(&listener, ports.connect(Family::V4));
        let start = Instant::now();
        drop(client);
        read_end(&server);
        sleep(rest());
        drop(server);
        tell.send(start.elapsed()).expect("someone waits");
        listener
    });
    let reports = tracers.map(Tracer::join);
    let closed_after = closed_after.recv().expect("it is closed");
    drop(listener);
    let listed = world.namespace.run(in_time_wait);
    assert_eq!(listed.lines().count(), 1, "one is in TIME_WAIT: {listed}");
    for report in reports {
        goes_on_in_time_wait(&report, closed_after);
    }
}

fn goes_on_in_time_wait(report: &Report, closed_after: Duration) {
    report.assert_lossless();
    let begins = transition(report, "FIN_WAIT2", "TIME_WAIT");
    assert_eq!((&begins["origin"], &begins["context"]), (&Value::from("inferred"), &Value::Null));
    let told = Duration::from_micros(begins["duration_us"].as_u64().expect("a time in FIN_WAIT2"));
    // The kernel's timer counts in ticks of up to ten milliseconds, and a dump takes some time.
    let tolerance = Duration::from_millis(if is_slow() { 400 } else { 60 });
    assert!(told.abs_diff(closed_after) < tolerance, "{told:?}, not {closed_after:?}");
    let last = transition(report, "FIN_WAIT2", "CLOSE");
    assert_eq!(last["origin"], "observed");
    assert_eq!(last["close"]["cause"], "active_close");
    assert!(begins["ktime_ns"].as_u64() > last["ktime_ns"].as_u64());
    assert_eq!((&begins["lport"], &begins["cookie"]), (&last["lport"], &last["cookie"]));
}

/// The limit of sockets in TIME_WAIT is reached; further connections are closed at once.
fn no_room_for_more(hook: Hook, name: &str) {
    const MOST: usize = 5;
    if !is_root(name) {
        return;
    }
    let world = Fixture::new();
    let ports = world.ports();
    world.namespace.run(|| sysctl("net/ipv4/tcp_max_tw_buckets", &MOST.to_string()));
    let tracer = trace(hook, &world);
    // The tracer reads the limit with the first dump.
    sleep(rest());
    let listed = world.namespace.run(move || {
        let listener = listen(ports.listen(Family::V4));
        for _ in 0..3 * MOST {
            let (client, server) = net::pair(&listener, ports.connect(Family::V4));
            // The client keeps the socket until the peer's FIN has come, so that no dump is needed to see that.
            client.shutdown(Shutdown::Write).expect("shutdown");
            read_end(&server);
            drop(server);
            read_end(&client);
        }
        in_time_wait()
    });
    let report = tracer.stop();
    report.assert_lossless();
    assert_eq!(transitions(&report, "FIN_WAIT2", "CLOSE").len(), 3 * MOST);
    assert_eq!(transitions(&report, "FIN_WAIT2", "TIME_WAIT").len(), listed.lines().count(), "{listed}");
    assert_eq!(listed.lines().count(), MOST, "{listed}");
}

/// A new connection with the same ports ends TIME_WAIT early.
fn ports_taken_again(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let world = Fixture::new();
    let ports = world.ports();
    let tracer = trace(hook, &world);
    world.namespace.run(move || {
        let listener = listen(ports.listen(Family::V4));
        let connect = || {
            let client = net::socket(ports.connect(Family::V4));
            client.bind(&net::local(V4, ports.port(1)).into()).expect("bind");
            client.connect(&ports.connect(Family::V4).into()).expect("connect");
            let server = accept(&listener);
            // The server closes first, so that its side goes through TIME_WAIT.
            server.shutdown(Shutdown::Write).expect("shutdown");
            read_end(&client);
            drop(client);
            read_end(&server);
            drop(server);
        };
        connect();
        // The kernel takes a SYN for a new connection only if its timestamp is newer by a tick of the clock.
        sleep(Duration::from_millis(1_100));
        connect();
    });
    world.settle(22);
    let report = tracer.stop();
    report.assert_lossless();
    let begins = transitions(&report, "FIN_WAIT2", "TIME_WAIT");
    assert_eq!(begins.len(), 2, "{}", report.stdout);
    let end = transition(&report, "TIME_WAIT", "CLOSE");
    assert_eq!((&end["origin"], &end["cookie"]), (&Value::from("inferred"), &begins[0]["cookie"]));
    let rested = end["duration_us"].as_u64().expect("a time in TIME_WAIT");
    assert!((1_000_000..10_000_000).contains(&rested), "not a minute: {end}");
}

/// `-p` of processes that already have their sockets: actions of the peer are seen, and children of a listener.
fn of_one_process(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let world = Fixture::new();
    let ports = world.ports();
    let actor = |what, address| actor::start(env!("CARGO_BIN_EXE_actor"), what, address);
    let (client, listener) = world.namespace.run(move || {
        let (address, other) = (ports.listen(Family::V4), ports.port(1));
        let listener = listen(address);
        let (client, local) = actor("connect", address);
        let accepted = accept(&listener);
        let (server, there) = actor("listen", (V4, other).into());
        let of = |pid: u32| Tracer::start(hook, &["-o", "json", "-p", &pid.to_string()]);
        let (of_client, of_server) = (of(client.pid()), of(server.pid()));
        drop(accepted);
        sleep(rest());
        actor::exit(client);
        let child = net::connect(there);
        net::wait_for_established(other);
        drop(child);
        sleep(rest());
        actor::exit(server);
        ((of_client.stop(), local), (of_server.stop(), there))
    });
    for ((report, local), states) in [
        (client, &["ESTABLISHED CLOSE_WAIT", "CLOSE_WAIT LAST_ACK", "LAST_ACK CLOSE"][..]),
        (listener, &["LISTEN SYN_RECV", "SYN_RECV ESTABLISHED", "ESTABLISHED CLOSE_WAIT", "LISTEN CLOSE"]),
    ] {
        report.assert_lossless();
        let all = report.transitions();
        assert!(all.iter().all(|told| told.tuple.lport == local.port()), "nobody else's: {}", report.stdout);
        let told: Vec<_> = all.iter().map(|told| format!("{} {}", told.old, told.new)).collect();
        if machine::release() < (5, 11) {
            assert!(report.stderr.contains("seen once it acts on them"), "{}", report.stderr);
        } else {
            assert!(states.iter().all(|state| told.iter().any(|told| told == state)), "{told:?}");
            assert!(!report.stderr.contains("note:"), "{}", report.stderr);
        }
    }
}
