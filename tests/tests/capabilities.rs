//! Tracing by an ordinary user: the documented capabilities are enough, and fewer are not.

use std::{path::Path, process::Command};

use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use tcptrace_tests::{
    both_hooks,
    degraded::{TRACEFS, prepared},
    fixture::{Fixture, compare},
    machine::{Hook, is_root, public_copy},
    net::{Family, accept, connect, listen, read_end},
    process::output,
    replay::{Obstacle, play_until_comparable},
    tracer::Tracer,
};

both_hooks!(an_ordinary_user);

/// A user who owns no file here.
const USER: &str = "65534";

/// The capabilities that the hook needs, as `setpriv` calls them.
fn needed(hook: Hook) -> &'static [&'static str] {
    match hook {
        Hook::TpBtf => &["bpf", "perfmon"],
        // Only root can read tracefs.
        Hook::Tracepoint => &["bpf", "perfmon", "dac_read_search"],
    }
}

/// `program`, run by an ordinary user with these capabilities and no others.
fn as_user(program: &Path, capabilities: &[&str]) -> Command {
    let list = capabilities.iter().fold(String::new(), |list, capability| list + ",+" + capability);
    // An ordinary user cannot mount tracefs, so root does if it is not mounted.
    let mut command = if Path::new("/sys/kernel/tracing/events").exists() {
        Command::new("setpriv")
    } else {
        let mut mounted = prepared(TRACEFS, "");
        mounted.arg("setpriv");
        mounted
    };
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]);
    for set in ["inh-caps", "ambient-caps", "bounding-set"] {
        command.arg(format!("--{set}=-all{list}"));
    }
    command.arg(program);
    command
}

/// Runs a scenario once with the required capabilities.
fn sees_all(hook: Hook, program: &Path) -> Result<(), Obstacle> {
    let world = Fixture::new();
    let netns = world.namespace.inode().to_string();
    let arguments = ["--hook", hook.name(), "-o", "json", "--netns", &netns];
    let mut tracer = Tracer::spawn(as_user(program, needed(hook)).args(arguments));
    tracer.read();
    let ports = world.ports();
    world.namespace.run(move || {
        let listener = listen(ports.listen(Family::V4));
        let client = connect(ports.connect(Family::V4));
        let server = accept(&listener);
        drop(client);
        read_end(&server);
    });
    world.settle(12);
    let report = tracer.stop();
    world.check_all_seen(&[&report])?;
    report.assert_lossless();
    compare(&report.transitions(), &world.tracefs.transitions());
    Ok(())
}

fn an_ordinary_user(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    // Kernels before 5.11 count maps against the limit; a container may forbid raising it.
    let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
    let folder = tempfile::tempdir().expect("a folder");
    let program = public_copy(folder.path());
    play_until_comparable(name, || sees_all(hook, &program));

    let arguments = ["--hook", hook.name(), "-o", "json"];
    for left_out in needed(hook) {
        let fewer: Vec<_> = needed(hook).iter().copied().filter(|one| one != left_out).collect();
        let refused = output(as_user(&program, &fewer).args(arguments).args(["--duration", "1ms"]));
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "without {left_out}: {said}");
        assert!(
            said.contains(&format!("CAP_{}", left_out.to_uppercase())),
            "{left_out} is not named: {said}"
        );
    }
}
