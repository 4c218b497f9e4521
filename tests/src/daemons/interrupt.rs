//! Ctrl-C: daemons have separate sessions or are stopped, and would outlive the process that has started them.

use std::{
    process::exit,
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, sleep},
    time::Duration,
};

use nix::sys::signal::{SigSet, Signal};

use super::daemon::{descendants, send};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on, a signal that asks this process to end ends its children first, and running situations are undone. Call
/// it before there are other threads.
pub fn watch() {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block().expect("signals can be blocked");
    thread::spawn(move || {
        let _ = signals.wait();
        INTERRUPTED.store(true, Ordering::Relaxed);
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            for pid in descendants(std::process::id()).into_iter().skip(1) {
                send(pid, Signal::SIGCONT);
                send(pid, signal);
            }
            sleep(Duration::from_secs(3));
        }
        // By now every situation has failed, and has removed its files and namespaces.
        sleep(Duration::from_secs(10));
        exit(130);
    });
}

/// Whether there was such a signal.
pub fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}
