//! Processes that were looked at before.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use hashlink::LruCache;

use super::identity::{Head, Process};

/// How many are remembered; one more, and the one that was asked for least recently is read again when needed.
const REMEMBERED: usize = 4096;

/// How long a process is believed to be the same one. For its id to come round to another, all other ids must have
/// been used up meanwhile, which takes longer.
const BELIEVED: Duration = Duration::from_millis(50);

/// What processes are, read when first asked for. An id that the kernel gives to another process is that other one's,
/// and a process that runs another program is looked at again. User, unit, container and namespace are those of the
/// first look, or of the first after the program was started.
#[derive(Debug)]
pub struct Processes {
    proc: PathBuf,
    known: LruCache<u32, Known>,
}

#[derive(Debug)]
struct Known {
    head: Head,
    process: Arc<Process>,
    checked: Instant,
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
        Self { proc: root.join("proc"), known: LruCache::new(REMEMBERED) }
    }

    /// The process with this id (thread group); `None` when there is none.
    pub fn get(&mut self, pid: u32) -> Option<Arc<Process>> {
        self.at(pid, Instant::now())
    }

    fn at(&mut self, pid: u32, now: Instant) -> Option<Arc<Process>> {
        if let Some(known) = self.known.get(&pid)
            && now.saturating_duration_since(known.checked) < BELIEVED
        {
            return Some(Arc::clone(&known.process));
        }
        let Some(head) = Head::read(&self.proc, pid) else {
            self.known.remove(&pid);
            return None;
        };
        if let Some(known) = self.known.get_mut(&pid)
            && known.head == head
        {
            known.checked = now;
            return Some(Arc::clone(&known.process));
        }
        let process = Arc::new(Process::read(&self.proc, pid, &head)?);
        self.known.insert(pid, Known { head, process: Arc::clone(&process), checked: now });
        Some(process)
    }
}

#[cfg(test)]
mod tests;
