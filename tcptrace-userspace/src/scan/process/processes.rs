//! Processes that were looked at before.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use hashlink::LruCache;
use tcptrace_core::model::process::Process;

use super::identity::{self, Head, is_absent};
use crate::sys::clock::monotonic_ns;

/// How many are remembered; one more, and the one that was asked for least recently is read again when needed.
const REMEMBERED: usize = 4096;

/// How long a process is believed to be the same one, nanoseconds. For its id to come round to another, all other ids must
/// have been used up meanwhile, which takes longer.
const BELIEVED_NS: u64 = 50_000_000;

/// How long after it was last seen alive a process may have acted before it ended, nanoseconds: less than its id takes to come
/// round to another one.
const KEPT_NS: u64 = 1_000_000_000;

/// What processes are, read when first asked for. An id that the kernel gives to another process is that other one's,
/// and a process that runs another program is looked at again. User, unit, container and namespace are those of the
/// first scan, or of the first after the program was started. One that ends stays what it was.
#[derive(Debug)]
pub struct Processes {
    proc: PathBuf,
    known: LruCache<u32, Known>,
    /// When it was last read whether a process lives of which nothing else is known, and the answer.
    lives: LruCache<u32, (u64, Life)>,
}

/// Whether a process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// One with this id does, which started then, in clock ticks since boot.
    Lives(u64),
    /// None does: there is none, or only what its parent has not asked for yet.
    Ended,
    /// That could not be read.
    Unknown,
}

/// A process that somebody has looked at.
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
    /// There is nothing but its end of it.
    is_zombie: bool,
}

impl Default for Processes {
    fn default() -> Self {
        Self::new()
    }
}

impl Processes {
    /// None known yet.
    pub fn new() -> Self {
        Self::below(Path::new("/"))
    }

    /// Those in `/proc` below `root`.
    fn below(root: &Path) -> Self {
        let (known, lives) = (LruCache::new(REMEMBERED), LruCache::new(REMEMBERED));
        Self { proc: root.join("proc"), known, lives }
    }

    /// The process with this id (thread group); `None` when there is none.
    pub fn get(&mut self, pid: u32) -> Option<Arc<Process>> {
        self.at(pid, monotonic_ns())
    }

    /// The process with this id; where there is none any more, the one that had it at `event_ns`, if that was known before it
    /// ended. `comm`: its name then, where that is known.
    pub(crate) fn of_event(&mut self, pid: u32, event_ns: u64, comm: Option<&[u8]>) -> Option<Arc<Process>> {
        self.of_event_at(pid, event_ns, comm, monotonic_ns())
    }

    /// Whether a process with this id lives now. What cannot be read, such as for want of descriptors, tells nothing.
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
            // `hidepid` hides others as if there were none: the first one always lives.
            Err(error) if is_absent(&error) && Head::read(&self.proc, 1).is_ok() => Life::Ended,
            Err(_) => Life::Unknown,
        }
    }

    /// What was seen a moment ago.
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
        // Another name is another program's, which nobody has looked at.
        let same_name = || comm.is_none_or(|comm| comm == process.comm);
        (event_ns <= *seen_ns || (event_ns - seen_ns < KEPT_NS && same_name())).then(|| Arc::clone(process))
    }

    /// Looks at the process with this id for somebody else, who [learns](Self::learn) of it: now, since it may have run
    /// another program a moment ago.
    pub(crate) fn seen(&mut self, pid: u32) -> Option<Seen> {
        self.read(pid, monotonic_ns())?;
        self.known.get(&pid).cloned().map(Seen)
    }

    /// Takes in what somebody else has seen.
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
