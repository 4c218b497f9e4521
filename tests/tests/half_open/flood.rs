//! Floods: bounded, spoofed, inside a namespace.

use std::{collections::HashSet, net::SocketAddr, thread::sleep, time::Duration};

use tcptrace_tests::{
    both_hooks,
    init::{DuringInit, assert_seen},
    machine::{Hook, is_root, is_slow},
    net::{self, Family},
    netns::sysctl,
    syn,
};

use crate::victim::{RETRIES, Victim, ends, poll, stop};

both_hooks!(
    flood_v4,
    flood_v6,
    flood_of_a_mapped_listener,
    queue_is_full,
    cookies,
    mixed_with_honest_clients
);

/// A listener that never accepts.
fn listen(address: SocketAddr, backlog: i32) -> socket2::Socket {
    let listener = net::listen(address);
    listener.listen(backlog).expect("listen");
    listener
}

fn flood(hook: Hook, name: &str, family: Family, count: u16) {
    if !is_root(name) {
        return;
    }
    let victim = Victim::new();
    let tracer = victim.trace(hook, &["--half-open"]);
    let hidden = DuringInit::start(&victim.world.slot.number().to_string(), &["tcp/tcp_retransmit_synack"]);
    let ports = victim.world.ports();
    let before = victim.netstat();
    let listener = victim.world.namespace.hold(move || {
        let listener = listen(ports.listen(family), 4_096);
        syn::flood(ports.connect(family), count);
        listener
    });
    let listed: HashSet<_> = victim.listed().into_iter().collect();
    let after = victim.netstat();
    let dropped = after["ListenDrops"] - before["ListenDrops"];
    assert_eq!(listed.len() as u64 + dropped, u64::from(count), "the kernel queued or dropped each");
    assert!(listed.len() > usize::from(count) / 2, "{} of {count} were queued", listed.len());
    victim.wait_until_over();
    let over = victim.netstat();
    let hidden = hidden.count();
    poll();
    drop(listener);
    let told = stop(tracer);

    let begun: HashSet<_> = told.of("begin").map(ends).collect();
    let differ: Vec<_> = begun.symmetric_difference(&listed).collect();
    assert!(differ.is_empty(), "what began is what ss listed, but for {differ:?}");
    assert_eq!(told.number("followed/begun"), listed.len() as u64);
    assert_eq!(told.number("followed/timed_out"), listed.len() as u64, "{}", told.summary);
    let sent_again = over["TCPSynRetrans"] - before["TCPSynRetrans"];
    assert!(
        (1..=RETRIES * listed.len() as u64).contains(&sent_again),
        "{sent_again} SYN-ACKs were sent again"
    );
    // Thousands of timers expire at once; some may expire in the time of process 1.
    assert_seen(told.number("followed/retransmits"), sent_again, hidden, &told.summary);
    assert_eq!(told.netstat("ListenDrops"), dropped);
    for line in &told.lines {
        assert_eq!(line["netns"], victim.world.namespace.inode(), "{line}");
        assert_eq!(line["owner"]["pid"], std::process::id(), "the listener's owner: {line}");
    }
    for line in told.of("begin") {
        assert_eq!((&line["cause"], &line["duration_us"]), (&"syn".into(), &serde_json::Value::Null));
    }
    let most = told.of("begin").filter_map(|line| line["open"].as_u64()).max();
    assert_eq!(most, Some(listed.len() as u64), "as many at the listener");
    for line in told.of("end") {
        let seconds = line["duration_us"].as_f64().expect("a duration") / 1e6;
        assert!((2.9..6.0).contains(&seconds), "three seconds, and up to the next poll: {line}");
    }
}

fn flood_v4(hook: Hook, name: &str) {
    // A slow machine cannot make more while the first ones still live.
    flood(hook, name, Family::V4, if is_slow() { 300 } else { 3_000 });
}

fn flood_v6(hook: Hook, name: &str) {
    flood(hook, name, Family::V6, 300);
}

/// IPv4 SYNs to a listener on `::`.
fn flood_of_a_mapped_listener(hook: Hook, name: &str) {
    flood(hook, name, Family::MappedServer, 100);
}

/// More SYNs than the queue takes: dropped ones have no record, and the namespace's counters report them.
fn queue_is_full(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let victim = Victim::new();
    let tracer = victim.trace(hook, &["--half-open"]);
    let ports = victim.world.ports();
    let listener = victim.world.namespace.hold(move || {
        let listener = listen(ports.listen(Family::V4), 100);
        syn::flood(ports.connect(Family::V4), 1_000);
        listener
    });
    let listed = victim.listed().len() as u64;
    assert!((100..=102).contains(&listed), "{listed} fit the queue");
    victim.wait_until_over();
    poll();
    drop(listener);
    let told = stop(tracer);
    assert_eq!(told.number("followed/begun"), listed);
    assert_eq!(told.number("followed/timed_out"), listed);
    assert_eq!(told.netstat("TCPReqQFullDrop"), 1_000 - listed);
    assert_eq!(told.netstat("SyncookiesSent"), 0);
}

/// With cookies no SYN is dropped, and none is kept.
fn cookies(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let victim = Victim::new();
    let tracer = victim.trace(hook, &["--half-open"]);
    let ports = victim.world.ports();
    let listener = victim.world.namespace.hold(move || {
        sysctl("net/ipv4/tcp_syncookies", "1");
        let listener = listen(ports.listen(Family::V4), 10);
        syn::flood(ports.connect(Family::V4), 200);
        listener
    });
    let listed = victim.listed().len() as u64;
    victim.wait_until_over();
    poll();
    drop(listener);
    let told = stop(tracer);
    assert_eq!(told.number("followed/begun"), listed);
    assert_eq!(told.netstat("SyncookiesSent"), 200 - listed);
    assert_eq!(told.netstat("TCPReqQFullDoCookies"), 200 - listed);
}

fn mixed_with_honest_clients(hook: Hook, name: &str) {
    const HONEST: u64 = 20;
    if !is_root(name) {
        return;
    }
    let victim = Victim::new();
    let tracer = victim.trace(hook, &["--half-open"]);
    let ports = victim.world.ports();
    victim.world.namespace.run(move || {
        let (listener, address) = (listen(ports.listen(Family::V4), 4_096), ports.connect(Family::V4));
        for round in 0..HONEST {
            syn::send(syn::source(false, u16::try_from(round).expect("few")), address);
            drop(net::pair(&listener, address));
        }
        sleep(Duration::from_millis(100));
    });
    victim.wait_until_over();
    poll();
    let told = stop(tracer);
    assert_eq!(told.number("followed/begun"), 2 * HONEST);
    assert_eq!(told.number("followed/completed"), HONEST);
    // Their listener is gone early: the kernel finds out when their timers fire.
    assert_eq!(
        told.number("followed/dropped") + told.number("followed/timed_out"),
        HONEST,
        "{}",
        told.summary
    );
    for line in told.of("end").filter(|line| line["cause"] == "completed") {
        assert_eq!(line["raddr"], "192.0.2.1", "{line}");
        assert!(line["duration_us"].as_u64().is_some_and(|us| us < 1_000_000), "{line}");
    }
}
