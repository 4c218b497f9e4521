//! Cache of processes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use hashlink::LruCache;
use tcptrace_core::model::process::Process;

use super::identity::{self, Head, is_absent};
use crate::sys::clock::monotonic_ns;

/// Capacity of the cache. A further process evicts the least recently used one, which is read again when needed.
const REMEMBERED: usize = 4096;

/// How long an id counts as that of the same process after a read, nanoseconds. The kernel gives the id to another
/// process only after it has used up all other ids, which takes longer.
const BELIEVED_NS: u64 = 50_000_000;

/// How long after it was last seen alive a process may have acted before it ended, nanoseconds. The kernel takes longer
/// to reuse its id.
const KEPT_NS: u64 = 1_000_000_000;

/// Cache of processes, each read when first asked for. An id that the kernel gives to another process is read again, as
/// is a process that runs another program. User, unit, container and namespace are those of the first read, or of the
/// first read after the program was started. A process that ends keeps them.
#[derive(Debug)]
pub struct Processes {
    proc: PathBuf,
    known: LruCache<u32, Known>,
    /// For processes of which nothing else is known: when their life was last read, and the answer.
    lives: LruCache<u32, (u64, Life)>,
}

/// Whether a process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// A process with this id lives. It started at this time, in clock ticks since boot.
    Lives(u64),
    /// No process lives: there is none with this id, or it is a zombie.
    Ended,
    /// The life could not be read.
    Unknown,
}

/// A process that one cache has read for another.
#[derive(Debug)]
pub(crate) struct Seen(Known);

#[derive(Clone, Debug)]
struct Known {
    head: Head,
    process: Arc<Process>,
    /// When it was last seen, nanoseconds of `CLOCK_MONOTONIC`.
    seen_ns: u64,
    /// There is no such process any more.
    is_gone: bool,
    /// The process is a zombie.
    is_zombie: bool,
}

impl Default for Processes {
    fn default() -> Self {
        Self::new()
    }
}

impl Processes {
    /// An empty cache.
    pub fn new() -> Self {
        Self::below(Path::new("/"))
    }

    /// An empty cache for the `proc` below `root`.
    fn below(root: &Path) -> Self {
        let (known, lives) = (LruCache::new(REMEMBERED), LruCache::new(REMEMBERED));
        Self { proc: root.join("proc"), known, lives }
    }

    /// The process with this id (thread group); `None` when there is none.
    pub fn get(&mut self, pid: u32) -> Option<Arc<Process>> {
        self.at(pid, monotonic_ns())
    }

    /// The process with this id. Where there is none any more, the process that had the id at `event_ns`, if it was
    /// read before it ended. `comm` is its name at that time, where known.
    pub(crate) fn of_event(&mut self, pid: u32, event_ns: u64, comm: Option<&[u8]>) -> Option<Arc<Process>> {
        self.of_event_at(pid, event_ns, comm, monotonic_ns())
    }

    /// Whether a process with this id lives now. A failed read, such as for lack of descriptors, is [`Life::Unknown`].
    pub(crate) fn life(&mut self, pid: u32) -> Life {
        self.life_at(pid, monotonic_ns())
    }

    fn life_at(&mut self, pid: u32, now_ns: u64) -> Life {
        if let Some(known) = self.believed(pid, now_ns) {
            return if known.is_zombie { Life::Ended } else { Life::Lives(known.process.start_ticks) };
        }
        // Each child of a listener asks for the listener's process.
        if let Some((read_ns, life)) = self.lives.get(&pid)
            && now_ns.saturating_sub(*read_ns) < BELIEVED_NS
        {
            return *life;
        }
        let life = self.read_life(pid);
        if life != Life::Unknown {
            self.lives.insert(pid, (now_ns, life));
        }
        life
    }

    fn read_life(&self, pid: u32) -> Life {
        match Head::read(&self.proc, pid) {
            Ok(head) if head.is_zombie => Life::Ended,
            Ok(head) => Life::Lives(head.start_ticks),
            // `hidepid` hides processes as if there were none. Process 1 always lives, so if it can be read, none is
            // hidden.
            Err(error) if is_absent(&error) && Head::read(&self.proc, 1).is_ok() => Life::Ended,
            Err(_) => Life::Unknown,
        }
    }

    /// The process with this id, if it was seen a moment ago.
    fn believed(&mut self, pid: u32, now_ns: u64) -> Option<&Known> {
        let known = self.known.get(&pid)?;
        (!known.is_gone && now_ns.saturating_sub(known.seen_ns) < BELIEVED_NS).then_some(known)
    }

    fn of_event_at(
        &mut self,
        pid: u32,
        event_ns: u64,
        comm: Option<&[u8]>,
        now_ns: u64,
    ) -> Option<Arc<Process>> {
        if let Some(process) = self.at(pid, now_ns) {
            return Some(process);
        }
        let Known { process, seen_ns, .. } = self.known.get(&pid)?;
        // Another name means another program, which was never read.
        let same_name = || comm.is_none_or(|comm| comm == process.comm);
        (event_ns <= *seen_ns || (event_ns - seen_ns < KEPT_NS && same_name())).then(|| Arc::clone(process))
    }

    /// Reads the process with this id for another cache, which [learns](Self::learn) it. It reads now, since the
    /// process may have run another program a moment ago.
    pub(crate) fn seen(&mut self, pid: u32) -> Option<Seen> {
        self.read(pid, monotonic_ns())?;
        self.known.get(&pid).cloned().map(Seen)
    }

    /// Adds a process that another cache has read.
    pub(crate) fn learn(&mut self, Seen(seen): Seen) {
        let pid = seen.process.pid;
        if self.known.get(&pid).is_none_or(|known| known.seen_ns < seen.seen_ns) {
            self.known.insert(pid, seen);
        }
    }

    fn at(&mut self, pid: u32, now_ns: u64) -> Option<Arc<Process>> {
        if let Some(known) = self.believed(pid, now_ns) {
            return Some(Arc::clone(&known.process));
        }
        self.read(pid, now_ns)
    }

    fn read(&mut self, pid: u32, now_ns: u64) -> Option<Arc<Process>> {
        let exe = (!self.known.contains_key(&pid)).then(|| identity::exe(&self.proc, pid)).flatten();
        let head = match Head::read(&self.proc, pid) {
            Ok(head) => head,
            Err(error) => {
                if let Some(known) = self.known.get_mut(&pid) {
                    known.is_gone |= is_absent(&error);
                }
                return None;
            }
        };
        if let Some(known) = self.known.get_mut(&pid)
            && !known.is_gone
            && head.changes_nothing(&known.head)
        {
            (known.seen_ns, known.is_zombie) = (now_ns, head.is_zombie);
            return Some(Arc::clone(&known.process));
        }
        let process = Arc::new(identity::read(&self.proc, pid, &head, exe)?);
        let is_zombie = head.is_zombie;
        let known = Known { head, process: Arc::clone(&process), seen_ns: now_ns, is_gone: false, is_zombie };
        self.known.insert(pid, known);
        Some(process)
    }
}

#[cfg(test)]
mod tests;
