//! The system calls of one thread, from tracefs' own `raw_syscalls` events.

use nix::libc::{SYS_epoll_pwait, SYS_epoll_wait};

use crate::instance::{Instance, ktime_ns};

const EVENTS: [&str; 2] = ["events/raw_syscalls/sys_enter", "events/raw_syscalls/sys_exit"];

/// A buffer for a minute of a thread that polls.
const BUFFER_KIB: u32 = 32 << 10;

/// A recording of a thread's system calls.
#[derive(Debug)]
pub struct Syscalls(Instance);

/// A finished system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syscall {
    /// Its number on this machine.
    pub number: i64,
    /// The time in the kernel, in nanoseconds.
    pub took_ns: u64,
}

impl Syscall {
    /// Whether it waits for events, as a thread without work does.
    pub fn waits(&self) -> bool {
        [SYS_epoll_wait, SYS_epoll_pwait].contains(&self.number)
    }
}

impl Syscalls {
    /// Begins to record the system calls of the thread with this id.
    pub fn of(thread: u32) -> Self {
        let this = Self(Instance::new(&format!("syscalls-{thread}"), BUFFER_KIB));
        for event in EVENTS {
            this.0.set(&format!("{event}/filter"), &format!("common_pid == {thread}"));
            this.0.set(&format!("{event}/enable"), "1");
        }
        this
    }

    /// Ends the recording, and returns all system calls that have begun and returned.
    pub fn stop(self) -> Vec<Syscall> {
        for event in EVENTS {
            self.0.set(&format!("{event}/enable"), "0");
        }
        returned(&self.0.log())
    }
}

/// The finished system calls. A thread is in one at a time.
fn returned(log: &str) -> Vec<Syscall> {
    let mut all = Vec::new();
    let mut entered = None;
    for line in log.lines() {
        if let Some((head, rest)) = line.split_once(": sys_enter: NR ") {
            entered = number(rest).zip(ktime_ns(head));
        } else if let Some((head, rest)) = line.split_once(": sys_exit: NR ")
            && let Some((before, begun_ns)) = entered.take()
            && number(rest) == Some(before)
            && let Some(end_ns) = ktime_ns(head)
        {
            all.push(Syscall { number: before, took_ns: end_ns.saturating_sub(begun_ns) });
        }
    }
    all
}

fn number(rest: &str) -> Option<i64> {
    rest.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_number_and_took_its_time() {
        let log = "# tracer: nop\n\
            tcptrace-77 [001] ..... 9.000001: sys_exit: NR 232 = 1\n\
            tcptrace-77 [001] ..... 9.000010: sys_enter: NR 257 (ffffff9c, 7f, 80000, 0, 0, 0)\n\
            tcptrace-77 [000] ..... 9.030012: sys_exit: NR 257 = 3\n\
            tcptrace-77 [000] ..... 9.030020: sys_enter: NR 232 (5, 55, 400, 32, 0, 0)\n";
        assert_eq!(returned(log), [Syscall { number: 257, took_ns: 30_002_000 }]);
    }
}
