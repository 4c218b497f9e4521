//! A thread that reads processes as they connect or listen for the first time. Short commands end long before their
//! records are released.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use super::plan::{AtStart, SessionThread};
use crate::{
    bpf::Arrivals,
    scan::process::{Processes, Seen},
    sys::wait::{Wait, Waker},
};

/// Processes that may wait to be asked for; those beyond are resolved with their records.
const WAITING: usize = 1024;

/// The thread, which ends when this is dropped.
pub(super) struct Watch {
    seen: Receiver<Seen>,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

/// Ends the thread.
struct Stop {
    is_asked: AtomicBool,
    waker: Waker,
}

impl Watch {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(arrivals: Arrivals, at_start: AtStart) -> io::Result<Self> {
        let (give, seen) = sync_channel(WAITING);
        let stop = Arc::new(Stop { is_asked: AtomicBool::new(false), waker: Waker::new()? });
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("newcomers".to_owned()).spawn(move || {
            at_start(SessionThread::Newcomers);
            // Without a ring there is nothing to wait for.
            let _ = read(arrivals, &give, &stopped);
        })?;
        Ok(Self { seen, stop, thread: Some(thread) })
    }

    /// The processes that were read since the last call.
    pub(super) fn seen(&self) -> impl Iterator<Item = Seen> {
        self.seen.try_iter()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.is_asked.store(true, Ordering::Release);
        self.stop.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads processes as they come.
fn read(mut arrivals: Arrivals, give: &SyncSender<Seen>, stop: &Stop) -> io::Result<()> {
    let mut processes = Processes::new();
    let wait = Wait::new(arrivals.wakeups()?, &stop.waker)?;
    while !stop.is_asked.load(Ordering::Acquire) {
        arrivals.drain(|pid| {
            if let Some(seen) = processes.seen(pid) {
                let _ = give.try_send(seen);
            }
        });
        wait.wait(None)?;
    }
    Ok(())
}
