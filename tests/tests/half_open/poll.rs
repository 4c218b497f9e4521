//! Traces without a program on the SYNs: polls find half-open connections that last, and pre-existing ones.

use std::{thread::sleep, time::Duration};

use tcptrace_tests::{
    both_hooks,
    degraded::under,
    machine::{Hook, is_root, is_slow},
    net::{self, Family},
    netns::{Held, sysctl},
    syn,
    tracer::Tracer,
};

use crate::victim::{RETRIES, Victim, poll, stop};

both_hooks!(by_polls_only, older_than_the_trace, without_cgroups);

const COUNT: u16 = 50;

fn flood(victim: &Victim) -> Held<'_, socket2::Socket> {
    let ports = victim.world.ports();
    victim.world.namespace.hold(move || {
        let listener = net::listen(ports.listen(Family::V4));
        syn::flood(ports.connect(Family::V4), COUNT);
        listener
    })
}

fn by_polls_only(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let victim = Victim::new();
    let tracer = victim.trace(hook, &["--half-open=poll"]);
    let listener = flood(&victim);
    assert_eq!(victim.listed().len(), usize::from(COUNT));
    victim.wait_until_over();
    poll();
    drop(listener);
    let told = stop(tracer);
    assert_eq!(told.count("begin", Some("poll")), u64::from(COUNT));
    assert_eq!(told.number("followed/timed_out"), u64::from(COUNT), "{}", told.summary);
    assert_eq!(told.number("seen"), 0, "no program is attached");
}

/// The first poll finds them, and they are followed as all others.
fn older_than_the_trace(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let victim = Victim::new();
    // A slow machine takes longer to begin a trace than their usual lifetime.
    let retries = if is_slow() { 2 } else { RETRIES };
    victim.world.namespace.run(move || sysctl("net/ipv4/tcp_synack_retries", &retries.to_string()));
    let listener = flood(&victim);
    let tracer = victim.trace(hook, &["--half-open"]);
    victim.wait_until_over();
    poll();
    drop(listener);
    let told = stop(tracer);
    assert_eq!(told.number("followed/begun"), u64::from(COUNT));
    assert_eq!(told.number("followed/timed_out"), u64::from(COUNT), "{}", told.summary);
    assert_eq!(told.count("begin", Some("syn")), 0, "by the first poll, or a retransmit before that");
    assert!(told.of("end").all(|line| line["duration_us"].is_null() && line["retransmits"] == retries));
}

/// Without access to the cgroups, no program can see the SYNs; the tracer reports that and goes on without.
fn without_cgroups(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let victim = Victim::new();
    let netns = victim.world.namespace.inode().to_string();
    let mut command = under("umount --lazy --all --types cgroup2", "");
    command.args(["trace", "--hook", hook.name(), "-o", "json", "--half-open", "--netns", &netns]);
    let mut tracer = Tracer::spawn(&mut command);
    tracer.read();
    let listener = flood(&victim);
    sleep(Duration::from_millis(100));
    victim.wait_until_over();
    poll();
    drop(listener);
    let report = tracer.stop();
    assert!(report.stderr.contains("no SYN is seen"), "{}", report.stderr);
    let told = crate::victim::told(&report);
    assert_eq!(told.number("syns"), 0);
    assert_eq!(told.number("followed/begun"), u64::from(COUNT), "by polls or by their first retransmit");
    assert_eq!(told.number("followed/timed_out"), u64::from(COUNT), "{}", told.summary);
}
