//! Tens of thousands of connections: the printed transitions, the counters and tracefs' records agree exactly.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    time::Duration,
};

use tcptrace_tests::{
    both_hooks,
    fixture::{Fixture, compare},
    machine::{Hook, is_root},
    process::{Running, output},
    tracer::Tracer,
    transition::Transition,
};

both_hooks!(every_transition_is_accounted_for, counting_only);

const CONNECTIONS: u64 = 30_000;
/// Transitions of both ends of each connection, see `load`, and two of its one listener.
const TRANSITIONS: u64 = CONNECTIONS * 10 + 2;
/// A buffer for all transitions on one CPU, with a reserve: tracefs takes about 90 bytes for each.
const BUFFER_KIB: u32 = 48 << 10;

type Counts = BTreeMap<(String, String), u64>;

fn count(transitions: &[Transition]) -> Counts {
    let mut counts = Counts::new();
    for transition in transitions {
        *counts.entry((transition.old.clone(), transition.new.clone())).or_default() += 1;
    }
    counts
}

fn world() -> Fixture {
    let world = Fixture::alone(BUFFER_KIB);
    world.namespace.run(|| tcptrace_tests::netns::sysctl("net/ipv4/ip_local_port_range", "32768 60999"));
    world
}

/// Runs the load in the namespace, with its listener on the slot's first port.
fn load(world: &Fixture) {
    let port = world.slot.port(0).to_string();
    world.namespace.run(move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
        let mut load = Running::spawn(
            command.args(["--connections", &CONNECTIONS.to_string(), "--port", &port]).stdout(Stdio::null()),
        );
        assert!(load.wait(Duration::from_mins(2)).success(), "the load runs to its end");
    });
    world.settle(TRANSITIONS);
}

fn every_transition_is_accounted_for(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let world = world();
    let netns = world.namespace.inode().to_string();
    let tracer = Tracer::start(hook, &["-o", "json", "--netns", &netns, "--buffer", "64M"]);
    load(&world);
    tracer.catch_up();
    let report = tracer.stop();
    let summary = report.assert_lossless();
    let (told, witnessed) = (report.bare_transitions(), world.tracefs.transitions());
    assert_eq!(witnessed.len() as u64, TRANSITIONS, "what the load makes, tracefs sees");
    assert_eq!(summary.delivered, TRANSITIONS, "and tcptrace prints");
    assert_eq!(count(&told), count(&witnessed), "each kind as often");
    let counted = in_matrix(&summary.matrix);
    for (kind, number) in count(&witnessed) {
        // The matrix covers the whole host; other tests may add to it.
        assert!(
            counted.get(&kind).is_some_and(|counted| *counted >= number),
            "{kind:?}: {counted:?} < {number}"
        );
    }
    compare(&told, &witnessed);
}

fn in_matrix(matrix: &[(String, String, u64)]) -> Counts {
    matrix.iter().map(|(old, new, count)| ((old.clone(), new.clone()), *count)).collect()
}

/// `--quiet` counts the same transitions without printing them.
fn counting_only(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let world = world();
    let netns = world.namespace.inode().to_string();
    let tracer = Tracer::start(hook, &["--quiet", "--netns", &netns]);
    load(&world);
    let report = tracer.stop();
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    let account = report.account();
    assert_eq!((account.delivered, account.lost), (TRANSITIONS, 0), "{}", report.stderr);
    assert!(
        !report.stdout.contains("->") || report.stdout.lines().count() == 1,
        "at most a header is printed"
    );
    assert_eq!(world.tracefs.entries(), TRANSITIONS);
}

/// The load generator itself distinguishes usage errors from others.
#[test]
fn load_usage() {
    for wrong in [&["--connections", "0"][..], &["--connections", "200001"], &["--threads", "2"], &["--fast"]]
    {
        let output = output(Command::new(env!("CARGO_BIN_EXE_load")).args(wrong));
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage: load"), "{wrong:?}");
    }
}
