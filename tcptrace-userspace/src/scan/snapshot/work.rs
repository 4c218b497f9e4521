//! Threads that enter namespaces and read them.

use std::{
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use nix::{
    errno::Errno,
    sched::{CloneFlags, setns},
};
use tcptrace_core::model::{
    dump::{Namespace, Obstacle},
    errno,
    socket::Socket,
};

use super::{
    Facts,
    dump::{self, BUFFER},
    faults::Faults,
    namespaces::Candidate,
};
use crate::sys::{clock::monotonic_ns, host::sysctl_number};

/// Threads at most. Namespaces share the kernel's big tables, and each is a walk through them: with hundreds of
/// containers that takes time.
const MOST: usize = 8;

/// What was read of a namespace.
pub(super) struct Read {
    pub(super) namespace: Namespace,
    pub(super) sockets: Vec<Socket>,
    pub(super) faults: Faults,
}

/// Reads all candidates, and returns an outcome for each of them, in their order.
pub(super) fn dump_all(candidates: &[Candidate], states: u32) -> Vec<Result<Read, Obstacle>> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(candidates.len()).min(MOST);
    // The first number that is given out is that of our own namespace, to a thread that still is in it.
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut buffer = vec![0; BUFFER];
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(candidate) = candidates.get(index) else { return done };
            done.push((index, read(candidate, states, &mut buffer)));
        }
    };
    let mut failure = Errno::UnknownErrno;
    let mut outcomes: Vec<Option<Result<Read, Obstacle>>> = candidates.iter().map(|_| None).collect();
    thread::scope(|scope| {
        let mut workers = Vec::new();
        for _ in 0..threads {
            match thread::Builder::new().name("snapshot".to_owned()).spawn_scoped(scope, worker) {
                Ok(handle) => workers.push(handle),
                // The others do the work, if there are any.
                Err(error) => failure = Errno::from_raw(error.raw_os_error().unwrap_or(0)),
            }
        }
        for worker in workers {
            for (index, outcome) in worker.join().unwrap_or_default() {
                outcomes[index] = Some(outcome);
            }
        }
    });
    outcomes.into_iter().map(|outcome| outcome.unwrap_or(Err(Obstacle::Thread(number(failure))))).collect()
}

/// As captures have it.
fn number(error: Errno) -> errno::Errno {
    errno::Errno(error as i32)
}

fn read(candidate: &Candidate, states: u32, buffer: &mut [u8]) -> Result<Read, Obstacle> {
    if let Some(file) = &candidate.file {
        setns(file, CloneFlags::CLONE_NEWNET).map_err(|error| Obstacle::Enter(number(error)))?;
    }
    let fin_timeout_ms = sysctl_number::<u32>("ipv4/tcp_fin_timeout").and_then(|s| s.checked_mul(1_000));
    let most_timewait = sysctl_number("ipv4/tcp_max_tw_buckets");
    let begin_ns = monotonic_ns();
    let facts = Facts { netns: candidate.inode, fin_timeout_ms, now_ns: begin_ns };
    let (sockets, faults) =
        dump::dump(facts, states, buffer).map_err(|error| Obstacle::Dump(number(error)))?;
    let namespace = Namespace { inode: candidate.inode, begin_ns, end_ns: monotonic_ns(), most_timewait };
    Ok(Read { namespace, sockets, faults })
}
