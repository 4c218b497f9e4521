//! Where nothing happens, the tracer sleeps, and whatever happens then wakes it at once.

use std::{
    fs,
    net::TcpListener,
    thread::sleep,
    time::{Duration, Instant},
};

use tcptrace_tests::{
    both_hooks, host,
    machine::{Hook, is_root},
    netns::Namespace,
    tracer::Tracer,
};

both_hooks!(a_sleeper_is_woken);

/// After so long without a transition it sleeps.
const UNTIL_ASLEEP: Duration = Duration::from_millis(1_200);
/// Far less than the second until it would look by itself, even on a busy host.
const AT_ONCE: Duration = Duration::from_millis(400);
/// How often it is tried.
const ROUNDS: usize = 4;
/// Looking for something to do, it would come by fifty times a second.
const RARELY: u64 = 15;

fn a_sleeper_is_woken(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::alone();
    let namespace = Namespace::usual();
    let netns = namespace.inode().to_string();
    let tracer = Tracer::start(hook, &["-o", "json", "--netns", &netns]);
    sleep(UNTIL_ASLEEP);
    let before = waits(tracer.pid());
    sleep(Duration::from_secs(1));
    let waited = waits(tracer.pid()) - before;
    assert!(waited < RARELY, "it waits {waited} times in a second");

    // By chance, a check of its own is near in four of ten cases.
    let woken = (0..ROUNDS).filter(|_| is_woken(&tracer, &namespace)).count();
    assert!(woken >= ROUNDS - 1, "woken {woken} times");
    // Each listener comes and goes.
    assert_eq!(tracer.stop().assert_lossless().delivered, 2 * ROUNDS as u64);
}

/// Whether a listener shows soon after it came.
fn is_woken(tracer: &Tracer, namespace: &Namespace) -> bool {
    sleep(UNTIL_ASLEEP);
    let before = tracer.printed();
    let since = Instant::now();
    namespace.run(|| drop(TcpListener::bind("127.0.0.1:0").expect("a listener")));
    while tracer.printed() == before {
        if since.elapsed() > AT_ONCE {
            return false;
        }
        sleep(Duration::from_millis(5));
    }
    true
}

/// How often the process' first thread has waited for something.
fn waits(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|number| number.trim().parse().ok()).expect("a number")
}
