//! Events in the time of process 1. Kernels of some vendors run no tracing program there: a timer that expires in that
//! time is hidden from every tracer, and no counter shows it.

use std::{fmt, fs};

use crate::instance::Instance;

/// A tracefs instance that records events only while a thread of process 1 runs, interrupts included.
#[derive(Debug)]
pub struct DuringInit(Instance);

impl DuringInit {
    /// Starts recording `events`, such as `tcp/tcp_retransmit_synack`. `name` must be unique among running instances.
    pub fn start(name: &str, events: &[&str]) -> Self {
        let this = Self(Instance::new(&format!("init-{name}"), 1_024));
        this.0.set("set_event_pid", &threads().join(" "));
        for event in events {
            this.0.set(&format!("events/{event}/enable"), "1");
        }
        this
    }

    /// The number of events so far.
    pub fn count(&self) -> u64 {
        self.0.entries()
    }
}

/// The threads of process 1.
pub(crate) fn threads() -> Vec<String> {
    let threads = fs::read_dir("/proc/1/task").expect("the threads of process 1");
    threads.map(|thread| thread.expect("a thread").file_name().into_string().expect("a number")).collect()
}

/// Asserts that `seen` is `all`, except for at most `hidden` events.
pub fn assert_seen(seen: u64, all: u64, hidden: u64, why: &dyn fmt::Debug) {
    let least = all.saturating_sub(hidden);
    assert!(
        (least..=all).contains(&seen),
        "{seen} of {all}, of which {hidden} in the time of process 1: {why:?}"
    );
}
