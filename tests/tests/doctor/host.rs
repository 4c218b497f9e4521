//! The report on this host agrees with the kernel's files, and with the behaviour of a trace.

use std::{fs, process::Command, thread::sleep, time::Duration};

use serde_json::Value;
use tcptrace_tests::{
    host,
    machine::{Hook, is_root, tcptrace},
    tracer::Tracer,
};

use crate::report::doctor;

/// The content of a kernel file with a number or a word.
fn kernel(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}")).trim().to_owned()
}

/// The facts are those in the kernel's files, which the test reads itself.
#[test]
fn facts_are_the_kernels() {
    if !is_root("facts_are_the_kernels") {
        return;
    }
    let _host = host::share();
    let report = doctor(&[]);
    assert!(report.found("kernel").contains(&kernel("/proc/sys/kernel/osrelease")));
    let btf = fs::metadata("/sys/kernel/btf/vmlinux").is_ok();
    assert_eq!(report.status("btf") == "ok", btf, "{}", report.row("btf"));
    let unprivileged = kernel("/proc/sys/kernel/unprivileged_bpf_disabled");
    assert!(report.found("unprivileged_bpf").contains(&format!("= {unprivileged}:")));
    let (soft, _) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_MEMLOCK).expect("it");
    let memlock = report.found("memlock");
    assert!(memlock.contains(&soft.to_string()) || memlock == "unlimited", "{soft}: {memlock}");
    let cgroups = kernel("/proc/self/cgroup");
    let pure = cgroups.lines().all(|line| line.starts_with("0::"));
    assert_eq!(report.found("cgroup") == "version 2", pure, "{cgroups}");
    assert!(report.found("capabilities").contains("CAP_SYS_ADMIN"), "root: {}", report.row("capabilities"));
    assert_eq!(report.status("ring_buffer"), "ok");
}

/// The report on the hooks agrees with the hooks that a trace uses.
#[test]
fn hooks_are_what_a_trace_uses() {
    if !is_root("hooks_are_what_a_trace_uses") {
        return;
    }
    let _host = host::share();
    let report = doctor(&[]);
    assert_eq!((report.code, &report.json["possible"]), (Some(0), &Value::Bool(true)));
    for hook in Hook::ALL {
        assert_eq!(report.status(hook.name()), "ok", "{}", report.row(hook.name()));
        Tracer::start(hook, &["--quiet"]).stop();
    }
    let tracer = Tracer::spawn(&mut Command::new(tcptrace())).stop();
    let used = format!("({}, ", report.json["hook"].as_str().expect("a hook"));
    assert!(tracer.stderr.contains(&used), "{used} {}", tracer.stderr);
    assert!(report.json["verdict"].as_str().is_some_and(|verdict| verdict.contains("possible here")));
}

/// The doctor leaves nothing behind: neither programs nor mounts.
#[test]
fn it_leaves_nothing_behind() {
    if !is_root("it_leaves_nothing_behind") {
        return;
    }
    let _host = host::alone();
    let programs = || -> Vec<u32> {
        aya::programs::loaded_programs().filter_map(|program| Some(program.ok()?.id())).collect()
    };
    let (before, mounts) = (programs(), kernel("/proc/self/mounts"));
    let statistics = kernel("/proc/sys/kernel/bpf_stats_enabled");
    assert_eq!(doctor(&["--measure"]).code, Some(0));
    // The kernel frees programs a moment later.
    for _ in 0..100 {
        if programs().iter().all(|id| before.contains(id)) {
            break;
        }
        sleep(Duration::from_millis(20));
    }
    assert!(programs().iter().all(|id| before.contains(id)), "{before:?}, then {:?}", programs());
    assert_eq!(kernel("/proc/self/mounts"), mounts);
    assert_eq!(kernel("/proc/sys/kernel/bpf_stats_enabled"), statistics);
}

#[test]
fn the_cost_is_measured() {
    if !is_root("the_cost_is_measured") {
        return;
    }
    let _host = host::alone();
    let report = doctor(&["--measure"]);
    let cost = &report.json["cost"];
    let number = |name: &str| cost[name].as_u64().unwrap_or_else(|| panic!("no {name} in {:#}", report.json));
    // Five slices of 400 connections, ten transitions each.
    assert!(number("transitions") >= 20_000, "{cost}");
    let (all, empty) = (number("ns_per_transition"), number("empty_ns"));
    assert!(
        empty > 0 && all > empty && all < 100_000,
        "more than an empty program, less than 0.1 ms: {cost}"
    );
    assert_eq!(number("above_empty_ns"), all - empty);
    assert!(doctor(&[]).json["cost"].is_null(), "only when asked");
}
