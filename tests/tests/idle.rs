//! An idle tracer sleeps. The next transition wakes it at once.
//!
//! A tracer without wakeups shows a transition as well, by its next check: while asleep it checks once a second. Four
//! in ten listeners at random times would be shown within 400 ms. So the time is not random. The test counts the waits
//! of the tracer's thread that reads the ring. Each check is followed by a wait:
//!
//! - For [`QUIET`], 700 ms, there is no wait. The last check was before that, so the next one is at most 300 ms away.
//! - Then there is a wait, and no other for [`SETTLED`], 350 ms. So a check has been made, not before the first of these
//!   waits. The next check is a second later.
//! - The listener comes now, and must be shown within [`SHOWN_WITHIN`], 850 ms, of that check.
//!
//! By chance, a tracer without wakeups would have to check 150 ms early in both rounds. Its timer is exact to some
//! milliseconds, and late rather than early. The test may see a wait later than it was, by at most [`HELD_UP`], 50 ms.
//! A tracer whose wakeups were cut off showed 24 listeners 3 to 113 ms after the time that this test assumes for its
//! next check, and none before. So the chance is far below 1 in 10 000.

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
    process::thread_named,
    tracer::Tracer,
};

both_hooks!(a_sleeper_is_woken);

/// A tracer that polls would wait fifty times a second.
const QUIET: Duration = Duration::from_millis(700);
/// More than the rest of the second after [`QUIET`].
const SETTLED: Duration = Duration::from_millis(350);
/// The limit for [`SETTLED`]. More waits than the check makes may delay it so far that too little of the second is
/// left.
const LATEST: Duration = Duration::from_millis(500);
/// The interval between a check and the next one is a second.
const SHOWN_WITHIN: Duration = Duration::from_millis(850);
/// The most by which the test may see a wait late.
const HELD_UP: Duration = Duration::from_millis(50);
/// The time after which the tracer must sleep, even on a busy host.
const LIMIT: Duration = Duration::from_secs(20);
const ROUNDS: usize = 2;

fn a_sleeper_is_woken(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::alone();
    let namespace = Namespace::usual();
    let netns = namespace.inode().to_string();
    let tracer = Tracer::start(hook, &["-o", "json", "--netns", &netns]);
    let ring = thread_named(tracer.pid(), "ring");
    for round in 1..=ROUNDS {
        let limit = last_check(ring) + SHOWN_WITHIN;
        let before = tracer.printed();
        namespace.run(|| drop(TcpListener::bind("127.0.0.1:0").expect("a listener")));
        while tracer.printed() == before {
            assert!(Instant::now() < limit, "nothing has woken it in round {round}");
            sleep(Duration::from_millis(2));
        }
    }
    // Each listener opens and closes.
    assert_eq!(tracer.stop().assert_lossless().delivered, 2 * ROUNDS as u64);
}

/// Waits until the tracer sleeps and has checked, and returns the time of that check.
fn last_check(tid: u32) -> Instant {
    let start = Instant::now();
    let (mut polled, mut last_wait, mut waited) = (start, start, waits(tid));
    // The time of the first wait after a quiet time.
    let mut check = None;
    loop {
        sleep(Duration::from_millis(5));
        let now = Instant::now();
        assert!(now - start < LIMIT, "it does not sleep: it has waited {waited} times");
        let held_up = now - polled > HELD_UP;
        let waited_again = waits(tid) != waited;
        let quiet = now - last_wait;
        match check {
            // The time of this wait is uncertain.
            _ if held_up => check = None,
            _ if waited_again && quiet >= QUIET => check = Some(now),
            Some(check) if !waited_again && quiet >= SETTLED && now - check <= LATEST => {
                return check;
            }
            _ => {}
        }
        if held_up || waited_again {
            (last_wait, waited) = (now, waits(tid));
        }
        polled = now;
    }
}

/// The number of times that the thread has waited.
fn waits(tid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|number| number.trim().parse().ok()).expect("a number")
}
