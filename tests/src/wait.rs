//! Waiting for a condition.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// Waits for an effect that another thread, or the kernel, is about to cause.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}, within fifteen seconds");
        sleep(Duration::from_millis(20));
    }
}
