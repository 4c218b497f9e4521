//! Threads that enter namespaces and read them.

use std::{
    mem,
    num::NonZero,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, SyncSender},
    },
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
    dump::{self, BUFFER, Part},
    faults::Faults,
    namespaces::Candidate,
};
use crate::sys::{clock::monotonic_ns, host::sysctl_number};

/// Threads at most. Namespaces share the kernel's big tables, and the dump of each namespace walks through them. With
/// hundreds of containers that takes time.
const MOST: usize = 8;

/// The dump of a namespace.
pub(super) struct Read {
    pub(super) namespace: Namespace,
    pub(super) sockets: Vec<Box<Socket>>,
    pub(super) faults: Faults,
}

/// Parts of dumps that may wait in the queue: some hundred bytes for each of some ten thousand sockets.
const PARTS: usize = 128;

/// Reads all candidates, and returns an outcome for each of them, in their order.
///
/// The threads end with this dump. Each hands over its sockets part by part, and the calling thread stores them. If
/// each thread stored its own, the allocator would keep as much memory for it as it has ever read.
pub(super) fn dump_all(candidates: &[Candidate], states: u32) -> Vec<Result<Read, Obstacle>> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(candidates.len()).min(MOST);
    // The first index is that of our own namespace. It goes to a thread that is still in it.
    let next = AtomicUsize::new(0);
    let (give, parts) = mpsc::sync_channel(PARTS);
    let worker = |give: SyncSender<(usize, Part)>| {
        let mut buffer = vec![0; BUFFER];
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(candidate) = candidates.get(index) else { return done };
            // The calling thread receives parts until every thread is done.
            let take = |part| drop(give.send((index, part)));
            done.push((index, read(candidate, states, &mut buffer, take)));
        }
    };
    let mut failure = Errno::UnknownErrno;
    let mut outcomes: Vec<Option<Result<Read, Obstacle>>> = candidates.iter().map(|_| None).collect();
    let mut sockets: Vec<Vec<Box<Socket>>> = vec![Vec::new(); candidates.len()];
    thread::scope(|scope| {
        let mut workers = Vec::new();
        for _ in 0..threads {
            let (worker, give) = (&worker, give.clone());
            match thread::Builder::new().name("snapshot".to_owned()).spawn_scoped(scope, move || worker(give))
            {
                Ok(handle) => workers.push(handle),
                // The other threads do the work, if there are any.
                Err(error) => failure = Errno::from_raw(error.raw_os_error().unwrap_or(0)),
            }
        }
        drop(give);
        for (index, part) in parts {
            match part {
                Part::More(more) => sockets[index].extend(more.into_iter().map(Box::new)),
                Part::Anew => sockets[index].clear(),
            }
        }
        for worker in workers {
            for (index, outcome) in worker.join().unwrap_or_default() {
                outcomes[index] = Some(outcome.map(|(namespace, faults)| {
                    let mut sockets = mem::take(&mut sockets[index]);
                    dump::drop_doubles(&mut sockets);
                    Read { namespace, sockets, faults }
                }));
            }
        }
    });
    outcomes.into_iter().map(|outcome| outcome.unwrap_or(Err(Obstacle::Thread(number(failure))))).collect()
}

/// The error as a number, as captures have it.
fn number(error: Errno) -> errno::Errno {
    errno::Errno(error as i32)
}

/// Reads a namespace. Its sockets go to `take`.
fn read(
    candidate: &Candidate,
    states: u32,
    buffer: &mut [u8],
    take: impl Fn(Part),
) -> Result<(Namespace, Faults), Obstacle> {
    if let Some(file) = &candidate.file {
        setns(file, CloneFlags::CLONE_NEWNET).map_err(|error| Obstacle::Enter(number(error)))?;
    }
    let fin_timeout_ms = sysctl_number::<u32>("ipv4/tcp_fin_timeout").and_then(|s| s.checked_mul(1_000));
    let most_timewait = sysctl_number("ipv4/tcp_max_tw_buckets");
    let begin_ns = monotonic_ns();
    let facts = Facts { netns: candidate.inode, fin_timeout_ms, now_ns: begin_ns };
    let faults = dump::dump(facts, states, buffer, take).map_err(|error| Obstacle::Dump(number(error)))?;
    let namespace = Namespace { inode: candidate.inode, begin_ns, end_ns: monotonic_ns(), most_timewait };
    Ok((namespace, faults))
}
