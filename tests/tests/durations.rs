//! Time in the old state, against tracefs' own clock; with and without a filter that hides the state's beginning.

use std::{collections::BTreeMap, thread::sleep, time::Duration};

use tcptrace_tests::{
    both_hooks,
    fixture::{Fixture, Ports, compare},
    machine::{Hook, is_root, tolerance_us},
    net::{self, Family, accept, listen, read_end},
    netns::V4,
    process::tool,
    tracer::{Report, Tracer},
    transition::{Transition, Tuple},
};

both_hooks!(every_state, states_behind_a_filter, a_cookie_made_meanwhile, reused_socket_addresses);

/// A connection with fixed ports, so that tracefs' transitions can be assigned to sockets. It pauses in some states.
fn traffic(ports: Ports) {
    let pause = || sleep(Duration::from_millis(30));
    let listener = listen(ports.listen(Family::V4));
    let client = net::socket(ports.connect(Family::V4));
    client.bind(&net::local(V4, ports.port(1)).into()).expect("bind");
    pause();
    client.connect(&ports.connect(Family::V4).into()).expect("connect");
    let server = accept(&listener);
    pause();
    drop(client);
    read_end(&server);
    pause();
    drop(server);
    pause();
    drop(listener);
}

/// The times at which sockets entered the states that they leave, from tracefs: the ends and the new state of a
/// transition, to the time of the transition before in microseconds. `None` for the first transition of a socket.
fn witnessed(transitions: &[Transition]) -> BTreeMap<(Tuple, String), Option<u64>> {
    let mut since: BTreeMap<Tuple, (String, u64)> = BTreeMap::new();
    let mut durations = BTreeMap::new();
    for transition in transitions {
        let us = transition.ktime_ns / 1_000;
        let before = since.insert(transition.tuple, (transition.new.clone(), us));
        let duration = before.filter(|(state, _)| *state == transition.old).map(|(_, then)| us - then);
        durations.insert((transition.tuple, transition.new.clone()), duration);
    }
    durations
}

/// Asserts that tcptrace's times in state agree with tracefs' times, and returns the number of known ones.
fn assert_durations(report: &Report, world: &Fixture) -> usize {
    let witnessed = witnessed(&world.tracefs.transitions());
    let mut known = 0;
    for transition in report.transitions() {
        let told = transition.json["duration_us"].as_u64();
        let key = (transition.tuple, transition.new.clone());
        let truth = witnessed.get(&key).unwrap_or_else(|| panic!("tracefs does not know {transition}"));
        match (told, truth) {
            (Some(told), Some(truth)) => {
                assert!(
                    told.abs_diff(*truth) <= tolerance_us(),
                    "{told} us, not {truth} us, in {}",
                    transition.json
                );
                known += 1;
            }
            (None, None) => {}
            _ => panic!("{told:?} us, not {truth:?} us, in {}", transition.json),
        }
    }
    known
}

fn trace(hook: Hook, options: &[&str], traffic: impl FnOnce(Ports) + Send + 'static) -> (Report, Fixture) {
    let world = Fixture::new();
    let netns = world.namespace.inode().to_string();
    let tracer = Tracer::start(hook, &[&["-o", "json", "--netns", &netns], options].concat());
    let ports = world.ports();
    world.namespace.run(move || traffic(ports));
    world.settle(12);
    let report = tracer.stop();
    report.assert_lossless();
    (report, world)
}

fn every_state(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let (report, world) = trace(hook, &[], traffic);
    compare(&report.transitions(), &world.tracefs.transitions());
    // The first transitions of listener, client and server have none before; the other nine have one.
    assert_eq!(assert_durations(&report, &world), 9);
    for state in ["ESTABLISHED", "CLOSE_WAIT", "LISTEN"] {
        let transition =
            report.transitions().into_iter().find(|event| event.old == state && event.new != "SYN_RECV");
        let json = transition.expect(state).json;
        assert!(json["duration_us"].as_u64() >= Some(30_000), "it rested: {json}");
    }
}

fn states_behind_a_filter(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    for (options, states) in [
        (&["--from-state", "CLOSE_WAIT"][..], &[("CLOSE_WAIT", "LAST_ACK")][..]),
        (&["--to-state", "CLOSE_WAIT"], &[("ESTABLISHED", "CLOSE_WAIT")]),
        (&["--state", "fin-wait-1"], &[("ESTABLISHED", "FIN_WAIT1"), ("FIN_WAIT1", "FIN_WAIT2")]),
    ] {
        let (report, world) = trace(hook, options, traffic);
        let told = report.transitions();
        let kinds: Vec<_> = told.iter().map(|event| (event.old.as_str(), event.new.as_str())).collect();
        assert_eq!(kinds, states, "{options:?}");
        assert_eq!(assert_durations(&report, &world), states.len(), "{options:?}");
        for transition in told {
            assert_eq!(
                transition.json["owner"]["pid"],
                std::process::id(),
                "{options:?}: {}",
                transition.json
            );
        }
    }
}

/// A socket gets its cookie at the first request for it. That may come from another tool, in any state.
fn a_cookie_made_meanwhile(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let (report, world) = trace(hook, &["--from-state", "CLOSE_WAIT"], |ports| {
        let listener = listen(ports.listen(Family::V4));
        let client = net::socket(ports.connect(Family::V4));
        client.bind(&net::local(V4, ports.port(1)).into()).expect("bind");
        client.connect(&ports.connect(Family::V4).into()).expect("connect");
        let server = accept(&listener);
        drop(client);
        read_end(&server);
        tool("ss", ["--tcp", "--all", "--no-header"]);
    });
    let cookie = &report.transitions()[0].json["cookie"];
    assert_ne!(*cookie, 0, "ss makes one");
    assert_eq!(assert_durations(&report, &world), 1);
}

/// The kernel uses the memory of a closed socket for the next one, which must not inherit its age.
fn reused_socket_addresses(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let world = Fixture::new();
    let netns = world.namespace.inode().to_string();
    let tracer = Tracer::start(hook, &["-o", "json", "--netns", &netns]);
    let ports = world.ports();
    world.namespace.run(move || {
        for _ in 0..200 {
            drop(listen(ports.listen(Family::V4)));
        }
    });
    world.settle(400);
    let report = tracer.stop();
    report.assert_lossless();
    compare(&report.transitions(), &world.tracefs.transitions());
    for transition in report.transitions() {
        let known = transition.json["duration_us"].as_u64();
        assert_eq!(known.is_some(), transition.old == "LISTEN", "{}", transition.json);
        assert!(known.is_none_or(|us| us < 100_000), "{}", transition.json);
    }
}
