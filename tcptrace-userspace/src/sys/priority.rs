//! Who goes first when the processors are short: what reads the ring, before it is full.

use rustix::process::{getpriority_process, setpriority_process};

/// Nice value beside that of the process.
const READER: i32 = -10;

/// The calling thread goes first from now on: it has little to do, and that soon. Threads and programs that it starts inherit
/// that. Who may not raise its priority goes on without. On Linux a thread has a nice value of its own (`sched(7)`).
pub(crate) fn raise() {
    if let Ok(before) = getpriority_process(None) {
        let _ = setpriority_process(None, before + READER);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn the_thread_goes_first_and_no_other() {
        let now = || getpriority_process(None).expect("a nice value");
        let before = now();
        let (raised, may) = thread::spawn(move || {
            raise();
            (now(), setpriority_process(None, before + READER).is_ok())
        })
        .join()
        .expect("it ends");
        assert_eq!(raised, if may { before + READER } else { before });
        assert_eq!(now(), before);
    }
}
