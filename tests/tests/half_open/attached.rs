//! The attached programs: their hooks, their neighbours, and their lifetime.

use std::{collections::BTreeSet, fs, thread::sleep, time::Duration};

use aya::programs::loaded_programs;
use nix::sys::signal::Signal;
use tcptrace_tests::{
    machine::{Hook, is_root},
    net::{self, Family},
    syn,
};

use crate::victim::{Victim, stop};

/// The ids of the programs that a process has loaded.
fn programs_of(pid: u32) -> BTreeSet<u32> {
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("the process runs");
    infos
        .filter_map(|info| fs::read_to_string(info.ok()?.path()).ok())
        .filter_map(|text| text.lines().find_map(|line| line.strip_prefix("prog_id:"))?.trim().parse().ok())
        .collect()
}

/// The names of those programs that are still loaded, of these ids.
fn loaded(ids: &BTreeSet<u32>) -> BTreeSet<String> {
    loaded_programs()
        .filter_map(Result::ok)
        .filter(|program| ids.contains(&program.id()))
        .map(|program| program.name_as_str().unwrap_or_default().to_owned())
        .collect()
}

/// A kill leaves nothing behind: the links end with the process.
#[test]
fn nothing_is_left_after_a_kill() {
    if !is_root("nothing_is_left_after_a_kill") {
        return;
    }
    let victim = Victim::new();
    let tracer = victim.trace(Hook::TpBtf, &["--half-open"]);
    let ids = programs_of(tracer.pid());
    let names = loaded(&ids);
    assert!(names.contains("syn_netns") || names.contains("syn"), "{names:?}");
    assert!(names.contains("synack"), "{names:?}");
    tracer.signal(Signal::SIGKILL);
    let _ = tracer.join();
    // The kernel frees programs with a delay.
    for _ in 0..100 {
        if loaded(&ids).is_empty() {
            return;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("still loaded: {:?}", loaded(&ids));
}

/// Without the option no program for half-open connections is attached.
#[test]
fn nothing_is_attached_unasked() {
    if !is_root("nothing_is_attached_unasked") {
        return;
    }
    let victim = Victim::new();
    for arguments in [&[][..], &["--half-open=poll"]] {
        let tracer = victim.trace(Hook::TpBtf, arguments);
        let names = loaded(&programs_of(tracer.pid()));
        assert!(names.contains("set_state_btf"), "{names:?}");
        assert!(!names.iter().any(|name| name.starts_with("syn")), "{names:?}");
        let _ = tracer.stop();
    }
}

/// Each tracer sees every SYN; neither hides one from the other.
#[test]
fn two_tracers_at_once() {
    const COUNT: u16 = 40;
    if !is_root("two_tracers_at_once") {
        return;
    }
    let victim = Victim::new();
    let first = victim.trace(Hook::TpBtf, &["--half-open"]);
    let second = victim.trace(Hook::Tracepoint, &["--half-open"]);
    let ports = victim.world.ports();
    let flood = move || {
        let listener = net::listen(ports.listen(Family::V4));
        syn::flood(ports.connect(Family::V4), COUNT);
        listener
    };
    let listener = victim.world.namespace.hold(flood);
    assert_eq!(victim.listed().len(), usize::from(COUNT));
    sleep(Duration::from_millis(300));
    assert_eq!(stop(first).count("begin", Some("syn")), u64::from(COUNT));
    // The end of one tracer does not detach the other.
    victim.world.namespace.run(move || syn::send(syn::source(false, 1_000), ports.connect(Family::V4)));
    sleep(Duration::from_millis(300));
    assert_eq!(stop(second).count("begin", Some("syn")), u64::from(COUNT) + 1);
    drop(listener);
}
