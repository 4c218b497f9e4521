//! A time limit for another process.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Calls `wait`, which waits for a process, and kills that process if it takes longer than `limit`. There is no
/// polling, so the limit does not change the measurement of `wait`.
pub(crate) fn within<T>(limit: Duration, pid: u32, wait: impl FnOnce() -> T) -> T {
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let timed_out = is_done.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            if let (true, Ok(pid)) = (timed_out, i32::try_from(pid)) {
                eprintln!("process {pid} has not ended after {limit:?} and is killed");
                // The process may have ended just now.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        });
        let outcome = wait();
        drop(done);
        outcome
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_takes_too_long_is_killed() {
        let run = |seconds: &str, limit| {
            let mut child = Command::new("sleep").arg(seconds).spawn().expect("a process");
            within(limit, child.id(), || child.wait()).expect("its end").code()
        };
        assert_eq!(run("60", Duration::from_millis(20)), None);
        assert_eq!(run("0", Duration::from_mins(1)), Some(0));
    }
}
