//! Clients that complete the handshake, and clients that give up.

use std::{net::SocketAddr, thread::sleep, time::Duration};

use serde_json::Value;
use tcptrace_tests::{
    both_hooks,
    machine::{Hook, is_root},
    net::{self, Family},
    netns::V4,
    syn,
    tracer::Tracer,
    wait::eventually,
};

use crate::victim::{Victim, accounts, poll, stop, told};

both_hooks!(honest_clients, reset_by_the_peer, accept_queue_is_full, filtered, counted_only, after_count);

/// Each half-open connection begins and is completed before its child is reported.
fn honest_clients(hook: Hook, name: &str) {
    const CLIENTS: u64 = 5;
    if !is_root(name) {
        return;
    }
    for family in [Family::V4, Family::V6, Family::MappedServer] {
        let victim = Victim::new();
        let tracer = victim.trace(hook, &["--half-open"]);
        let ports = victim.world.ports();
        victim.world.namespace.run(move || {
            let listener = net::listen(ports.listen(family));
            for _ in 0..CLIENTS {
                drop(net::pair(&listener, ports.connect(family)));
            }
        });
        sleep(Duration::from_millis(300));
        let report = tracer.stop();
        let told = told(&report);
        assert_eq!(told.number("followed/completed"), CLIENTS, "{}", told.summary);
        assert_eq!(told.number("followed/begun"), CLIENTS);
        let lines: Vec<Value> =
            report.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        for begin in told.of("begin") {
            let cookie = begin["cookie"].as_u64().expect("a cookie");
            let of_it: Vec<_> = lines.iter().filter(|line| line["cookie"] == cookie).collect();
            let order: Vec<_> =
                of_it.iter().map(|line| (&line["type"], &line["what"], &line["new_state"])).collect();
            let half_open = Value::from("half_open");
            assert_eq!(order[0], (&half_open, &"begin".into(), &Value::Null), "{of_it:?}");
            assert_eq!(order[1], (&half_open, &"end".into(), &Value::Null), "{of_it:?}");
            assert!(order[2..].iter().all(|(kind, ..)| **kind == "transition"), "{of_it:?}");
            assert!(of_it.len() > 2, "the child inherits the cookie: {of_it:?}");
        }
    }
}

/// The SYN-ACK reaches a host that has not requested it, and replies with a reset.
fn reset_by_the_peer(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let victim = Victim::new();
    let tracer = victim.trace(hook, &["--half-open"]);
    let ports = victim.world.ports();
    let listener = victim.world.namespace.hold(move || {
        let listener = net::listen(ports.listen(Family::V4));
        // The source is this host's own address: the kernel replies to the SYN-ACK by a reset.
        syn::send(SocketAddr::from((V4, ports.port(1))), ports.connect(Family::V4));
        listener
    });
    assert_eq!(victim.listed(), [], "it is over at once");
    poll();
    drop(listener);
    let told = stop(tracer);
    assert_eq!((told.number("followed/begun"), told.number("followed/dropped")), (1, 1), "{}", told.summary);
}

/// Clients that find the accept queue full never become half-open; the namespace counts them.
fn accept_queue_is_full(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let victim = Victim::new();
    let tracer = victim.trace(hook, &["--half-open"]);
    let ports = victim.world.ports();
    victim.world.namespace.run(move || {
        let (listener, address) = (net::listen(ports.listen(Family::V4)), ports.connect(Family::V4));
        listener.listen(0).expect("listen");
        // The queue takes one more connection than its limit.
        let served = net::connect(address);
        net::wait_for_child(&listener);
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let client = net::socket(address);
                net::begin_connect(&client, address);
                client
            })
            .collect();
        drop((served, clients, listener));
    });
    let counted = victim.netstat();
    let told = stop(tracer);
    assert_eq!(
        (told.number("followed/begun"), told.number("followed/completed")),
        (1, 1),
        "{}",
        told.summary
    );
    assert!(counted["ListenOverflows"] >= 3, "{counted:?}");
    assert_eq!(told.netstat("ListenOverflows"), counted["ListenOverflows"]);
    assert_eq!(told.netstat("ListenDrops"), counted["ListenDrops"]);
}

/// Filters on ports, addresses, states, namespace and process apply to half-open connections, too.
fn filtered(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let own_pid = std::process::id().to_string();
    let victim = Victim::new();
    let ports = victim.world.ports();
    let (first, netns) = (ports.port(0).to_string(), victim.world.namespace.inode().to_string());
    let other_netns = Victim::new();
    let elsewhere = other_netns.world.namespace.inode().to_string();
    let cases: [(&[&str], u64); 7] = [
        (&["-L", &first, "--netns", &netns], 1),
        (&["-L", &first, "-6", "--netns", &netns], 0),
        (&["--remote", "203.0.113.0/24", "--netns", &netns], 1),
        (&["--local", "198.51.100.0/24", "--netns", &netns], 0),
        (&["--state", "NEW_SYN_RECV", "--netns", &netns], 2),
        (&["-p", &own_pid, "--netns", &netns], 2),
        (&["--netns", &elsewhere], 0),
    ];
    let tracers: Vec<_> = cases
        .iter()
        .map(|(arguments, _)| Tracer::start(hook, &[&["-o", "json", "--half-open"], *arguments].concat()))
        .collect();
    let listeners = victim.world.namespace.hold(move || {
        let listeners = [0, 1].map(|index| net::listen((V4, ports.port(index)).into()));
        syn::send(syn::source(false, 7), (V4, ports.port(0)).into());
        syn::send((V4, ports.port(30)).into(), (V4, ports.port(1)).into());
        listeners
    });
    sleep(Duration::from_millis(300));
    let begun: Vec<u64> =
        tracers.into_iter().map(|tracer| told(&tracer.stop()).count("begin", None)).collect();
    drop(listeners);
    assert_eq!(begun, cases.map(|(_, expected)| expected));
}

fn counted_only(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let victim = Victim::new();
    let tracer = victim.trace(hook, &["--half-open", "--quiet"]);
    let ports = victim.world.ports();
    let listener = victim.world.namespace.hold(move || {
        let listener = net::listen(ports.listen(Family::V4));
        syn::flood(ports.connect(Family::V4), 10);
        listener
    });
    // A busy CPU processes packets later than they are sent.
    eventually("they are there", || victim.listed().len() == 10);
    drop(listener);
    let report = tracer.stop();
    let summary = &report.of_type("summary")[0]["half_open"];
    assert!(summary["syns"].as_u64().is_some_and(|syns| syns >= 10), "{summary}");
    assert!(summary["followed"].is_null() && summary["delivered"] == summary["seen"], "{summary}");
    assert_eq!(report.of_type("half_open"), Vec::<Value>::new());
    assert!(report.stderr.contains("SYNs"), "{}", report.stderr);
}

/// `--count` counts transitions; nothing is printed after the last one.
fn after_count(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let victim = Victim::new();
    let tracer = victim.trace(hook, &["--half-open", "--count", "3"]);
    let ports = victim.world.ports();
    victim.world.namespace.run(move || {
        let listener = net::listen(ports.listen(Family::V4));
        drop(net::pair(&listener, ports.connect(Family::V4)));
        syn::flood(ports.connect(Family::V4), 10);
    });
    let report = tracer.join();
    let told = accounts(&report);
    assert_eq!(report.transitions().len(), 3, "{}", report.stdout);
    let recorded = told.lines.iter().filter(|line| line["what"] != "end").count() as u64;
    assert_eq!(recorded, told.number("delivered"), "{}", report.stdout);
}
