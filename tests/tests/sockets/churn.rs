//! While many sockets come and go, lasting sockets are always seen, and none twice.

use std::{
    collections::HashSet,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tcptrace_tests::{
    machine::{helper, is_root},
    net::{Family, accept, connect, listen, pair},
    process::Running,
};

use crate::stage::Stage;

/// Lasting connections.
const LASTING: usize = 300;

#[test]
fn nothing_that_stays_is_missing_or_double() {
    if !is_root("nothing_that_stays_is_missing_or_double") {
        return;
    }
    let stage = Stage::new();
    let address = Family::V4.listen(stage.slot.port(0));
    stage.play(move |kept| {
        // Each has two sockets, and 40 ephemeral ports are not enough.
        tcptrace_tests::netns::sysctl("net/ipv4/ip_local_port_range", "20000 60999");
        let listener = listen(address);
        for _ in 0..LASTING {
            let (client, server) = pair(&listener, address);
            kept.extend([client, server]);
        }
        kept.push(listener);
    });
    let port = address.port();
    let is_lasting = move |socket: &Value| socket["lport"] == port || socket["rport"] == port;
    let lasting = cookies(stage.look(&["-o", "json"]).sockets().iter().filter(|one| is_lasting(one)));
    assert_eq!(lasting.len(), 2 * LASTING + 1);

    let mut command = stage.command(helper(env!("CARGO_BIN_EXE_load")));
    let mut load = Running::spawn(command.args(["--connections", "30000"]).stdout(Stdio::null()));
    let mut looks = 0;
    let mut passing = 0;
    while load.child().try_wait().expect("its state").is_none() || looks < 5 {
        let sockets = stage.look(&["-o", "json"]).sockets();
        let seen = cookies(sockets.iter());
        assert_eq!(seen.len(), sockets.len(), "look {looks}: a cookie twice");
        let missing: Vec<_> = lasting.difference(&seen).collect();
        assert!(missing.is_empty(), "look {looks}: {missing:?} of {} missing", lasting.len());
        passing = passing.max(seen.len() - lasting.len());
        looks += 1;
    }
    assert!(passing > 100, "the load was seen, too: {passing}");
}

fn cookies<'a>(sockets: impl Iterator<Item = &'a Value>) -> HashSet<u64> {
    sockets.map(|socket| socket["cookie"].as_u64().expect("a cookie")).collect()
}

/// A connection that waits for a slow server belongs to that server, however many others come and go.
#[test]
fn what_waits_for_a_slow_server_has_an_owner() {
    if !is_root("what_waits_for_a_slow_server_has_an_owner") {
        return;
    }
    let stage = Stage::new();
    let address = Family::V4.listen(stage.slot.port(0));
    let stop = Arc::new(AtomicBool::new(false));
    let served = {
        let stop = Arc::clone(&stop);
        stage.namespace.begin(move || {
            tcptrace_tests::netns::sysctl("net/ipv4/ip_local_port_range", "20000 60999");
            let listener = listen(address);
            // Ten connections come for each accepted one, as long as the queue has capacity.
            let mut clients = std::collections::VecDeque::new();
            while !stop.load(Ordering::Relaxed) {
                while clients.len() < 100 {
                    clients.push_back(connect(address));
                }
                for _ in 0..10 {
                    drop(accept(&listener));
                    drop(clients.pop_front());
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        })
    };
    let port = address.port().to_string();
    let mut waiting = 0;
    for run in 0..40 {
        let sockets = stage.look(&["-o", "json", "-L", &port, "--state", "ESTABLISHED"]).sockets();
        for child in sockets.iter().filter(|socket| socket["inode"].is_null()) {
            let owner = &child["owners"][0];
            let told = (&owner["pid"], &owner["provenance"]);
            assert_eq!(told, (&std::process::id().into(), &"inherited".into()), "run {run}: {child}");
            waiting += 1;
        }
    }
    stop.store(true, Ordering::Relaxed);
    served.wait();
    assert!(waiting > 40, "{waiting} waited");
}
