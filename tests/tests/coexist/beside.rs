//! Two tracers at once, and a tracer beside programs of other tools.

use std::num::NonZero;

use tcptrace_tests::{
    both_hooks,
    fixture::Fixture,
    machine::{Hook, is_root, skip},
    process::tool,
    slot::Slot,
    tracefs::Tracefs,
    tracer::{Report, Tracer},
};

use crate::{
    Made, load,
    neighbour::{Neighbour, pin_to},
};

both_hooks!(two_tracers, a_program_on_the_same_event, a_busy_neighbour);

/// tracefs' buffer on each CPU: for a few thousand connections, about 90 bytes for each transition.
const BUFFER_KIB: u32 = 8 << 10;

/// A namespace, and two witnesses: for its transitions, and for all events of the host.
struct Scene {
    host: Tracefs,
    _slot: Slot,
    // Last, to be dropped last: it holds the host.
    world: Fixture,
}

impl Scene {
    fn new() -> Self {
        let world = Fixture::alone(BUFFER_KIB);
        world.namespace.run(|| tcptrace_tests::netns::sysctl("net/ipv4/ip_local_port_range", "32768 60999"));
        let slot = Slot::take();
        let host = Tracefs::start(slot.number(), &(0..=u16::MAX), BUFFER_KIB);
        Self { host, _slot: slot, world }
    }

    fn trace(&self, hook: Hook) -> Tracer {
        let netns = self.world.namespace.inode().to_string();
        Tracer::start(hook, &["-o", "json", "--netns", &netns, "--buffer", "32M"])
    }

    /// Makes connections.
    fn load(&self, connections: u64) -> Made {
        let port = self.world.slot.port(0).to_string();
        let made = load(&self.world.namespace, connections, &["--port", &port]);
        self.world.settle(made.transitions);
        assert_eq!(self.world.tracefs.entries(), made.transitions, "what the load makes, tracefs sees");
        made
    }

    /// Asserts that every transition is seen, or counted as missed, and that the counts do not exceed the transitions
    /// of the whole host.
    fn check(&self, report: &Report, made: &Made) {
        let Made { transitions, hidden, .. } = *made;
        let account = report.summary();
        let shown = account.delivered + account.lost;
        let (missed, all) = (account.missed_runs, self.host.entries());
        assert!(
            shown <= transitions && transitions <= shown + missed + hidden,
            "of {transitions}: {account:?}"
        );
        assert!(account.seen + missed <= all, "of {all} on the host: {account:?}");
        assert_eq!(report.code, Some(if account.lost + missed > 0 { 4 } else { 0 }), "{}", report.stderr);
        let told = report.stderr.contains(&format!(", and {missed} missed by the kernel"));
        assert_eq!(told, missed > 0, "{}", report.stderr);
    }
}

/// Each of two tracers sees everything.
fn two_tracers(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let scene = Scene::new();
    let tracers = [scene.trace(hook), scene.trace(hook)];
    let made = scene.load(2_000);
    for tracer in tracers {
        tracer.catch_up();
        let report = tracer.stop();
        scene.check(&report, &made);
        if hook == Hook::TpBtf {
            made.assert_seen(report.assert_lossless().delivered, &report.stderr);
        }
    }
}

/// The kernel runs both programs, one after the other.
fn a_program_on_the_same_event(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let scene = Scene::new();
    let neighbour = Neighbour::on_the_same_event();
    let tracer = scene.trace(hook);
    let made = scene.load(2_000);
    tracer.catch_up();
    let report = tracer.stop();
    drop(neighbour);
    scene.check(&report, &made);
    if hook == Hook::TpBtf {
        made.assert_seen(report.assert_lossless().delivered, &report.stderr);
    }
}

/// Packets arrive on a CPU where a classic tracepoint's program runs nearly all the time: their transitions happen
/// within that program. `tp_btf` sees them all the same. The classic tracepoint does not, and counts them as missed.
fn a_busy_neighbour(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    if std::thread::available_parallelism().map_or(1, NonZero::get) < 2 {
        return skip(name, "needs two CPUs: one to send, one to receive");
    }
    let scene = Scene::new();
    scene.world.namespace.run(|| {
        // A thread's own /sys is that of its namespace. Packets that are sent on CPU 0 arrive on CPU 1.
        let steer = "mount -t sysfs none /sys && echo 2 > /sys/class/net/lo/queues/rx-0/rps_cpus";
        tool("unshare", ["--mount", "sh", "-c", steer]);
        pin_to(0);
    });
    let neighbour = Neighbour::busy_on(1);
    let run = neighbour.run_time();
    assert!(run.as_micros() >= 10, "the neighbour keeps its CPU busy: {run:?}");
    let tracer = scene.trace(hook);
    let made = scene.load(1_000);
    tracer.catch_up();
    let report = tracer.stop();
    drop(neighbour);
    scene.check(&report, &made);
    let account = report.summary();
    match hook {
        Hook::TpBtf => made.assert_seen(report.assert_lossless().delivered, &report.stderr),
        // Packets make about two thirds of the transitions. How many of them coincide with the program depends on other
        // work on that CPU.
        Hook::Tracepoint => {
            assert!(account.missed_runs > made.transitions / 100, "of {made:?}: {account:?}");
            assert!(report.stderr.contains("tp_btf is safer"), "{}", report.stderr);
        }
    }
}
