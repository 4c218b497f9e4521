//! A thread that looks at processes as they connect or listen for the first time: commands end long before their records'
//! turn comes.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use tokio::{runtime::Builder, sync::Notify};

use crate::{
    bpf::{Arrivals, run_at_once},
    scan::process::{Processes, Seen},
};

/// Processes that may wait to be asked for; of more, the others are looked at with their records.
const WAITING: usize = 1024;

/// The thread, which ends when this is dropped.
pub(super) struct Watch {
    seen: Receiver<Seen>,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(arrivals: Arrivals) -> io::Result<Self> {
        let (give, seen) = sync_channel(WAITING);
        let stop = Arc::new(Notify::new());
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("newcomers".to_owned()).spawn(move || {
            // Who may not goes on without; more end unseen then.
            run_at_once();
            // Without a ring to wait for, nobody comes.
            let _ = runtime.block_on(scan(arrivals, &give, &stopped));
        })?;
        Ok(Self { seen, stop, thread: Some(thread) })
    }

    /// Those that were looked at since the last time.
    pub(super) fn seen(&self) -> impl Iterator<Item = Seen> {
        self.seen.try_iter()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn scan(mut arrivals: Arrivals, give: &SyncSender<Seen>, stop: &Notify) -> io::Result<()> {
    let mut processes = Processes::new();
    let ring = arrivals.wakeups()?;
    loop {
        tokio::select! {
            () = stop.notified() => return Ok(()),
            woken = ring.readable() => woken?.clear_ready(),
        }
        arrivals.drain(|pid| {
            if let Some(seen) = processes.seen(pid) {
                let _ = give.try_send(seen);
            }
        });
    }
}
