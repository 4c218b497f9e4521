//! Priority of threads. Where CPUs are short, the thread that reads the ring goes first, before the ring is full.

use rustix::process::{getpriority_process, setpriority_process};

/// Nice value, relative to that of the process.
const READER: i32 = -10;

/// Raises the priority of the calling thread, which has little to do, but must do it soon. Threads and programs that it
/// starts inherit the priority. A process that may not raise it goes on without. On Linux a thread has a nice value of
/// its own (`sched(7)`).
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
