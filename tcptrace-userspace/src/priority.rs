//! Who goes first when the processors are short: what reads the ring, before it is full, and last what looks at the host.

use rustix::process::{getpriority_process, setpriority_process};

/// Nice values beside that of the process.
const READER: i32 = -10;
const BACKGROUND: i32 = 10;

/// The calling thread has little to do, and that soon.
pub(crate) fn raise() {
    add(READER);
}

/// The calling thread has much to do, and time; what it starts, too.
pub(crate) fn lower() {
    add(BACKGROUND);
}

/// On Linux a thread has a nice value of its own (`sched(7)`). Who may not raise it goes on without.
fn add(nice: i32) {
    if let Ok(before) = getpriority_process(None) {
        let _ = setpriority_process(None, before + nice);
    }
}
