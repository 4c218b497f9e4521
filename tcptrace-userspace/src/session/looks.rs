//! Looks at all sockets beside a trace, again and again, on a thread of their own.

use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tcptrace_core::model::{scan::Looked, wanted::Wanted};

use crate::{
    scan::{
        looker::Looker,
        snapshot::{Netns, namespace_names, visit},
    },
    sys::{clock::monotonic_ns, host},
};

use super::facts::{conditions, namespace_here};

/// Looks that may wait to be taken. One that finds no room waits, and with it the next one.
const QUEUE: usize = 4;

/// The thread that looks.
pub(super) struct Looks {
    stop: Sender<()>,
    looked: Receiver<Looked>,
    thread: JoinHandle<()>,
}

impl Looks {
    /// Looks now, and then so often.
    ///
    /// # Errors
    /// There can be no thread.
    pub(super) fn start(wanted: Wanted, netns: Option<Netns>, period: Duration) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let (give, looked) = sync_channel(QUEUE);
        let looker = Looker::new(wanted, netns.clone());
        // Where process ids are others than events', these are to say whose a socket is.
        let looker = if host::has_own_pids() { looker.without_owners() } else { looker };
        let look_on = move || look_on(looker, netns.as_ref(), period, &stopped, &give);
        let thread = std::thread::Builder::new().name("looks".to_owned()).spawn(look_on)?;
        Ok(Self { stop, looked, thread })
    }

    /// A look that was completed.
    pub(super) fn next(&self) -> Option<Looked> {
        self.looked.try_recv().ok()
    }

    /// Looks once more, and ends; all that was not taken yet.
    pub(super) fn finish(self) -> impl Iterator<Item = Looked> {
        drop(self.stop);
        // They end when the thread does.
        let mut thread = Some(self.thread);
        let mut looked = self.looked.into_iter();
        std::iter::from_fn(move || {
            if let Some(one) = looked.next() {
                return Some(one);
            }
            thread.take()?.join().err().map(|_| Looked {
                start_ns: monotonic_ns(),
                end_ns: monotonic_ns(),
                look: Err("a look panicked".to_owned()),
                namespaces: Vec::new(),
                processes: Vec::new(),
            })
        })
    }
}

fn look_on(
    mut looker: Looker,
    netns: Option<&Netns>,
    period: Duration,
    stopped: &Receiver<()>,
    give: &SyncSender<Looked>,
) {
    let mut wait = Duration::ZERO;
    loop {
        let is_last = stopped.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected);
        let start = Instant::now();
        let start_ns = monotonic_ns();
        let mut namespaces = visit(netns, namespace_here);
        let mut names = namespace_names();
        for (inode, namespace) in &mut namespaces {
            namespace.name = inode.and_then(|inode| names.remove(&inode));
        }
        let look = looker.look().map_err(|error| error.to_string());
        let processes = look.as_ref().map(conditions).unwrap_or_default();
        let looked = Looked { start_ns, end_ns: monotonic_ns(), look, namespaces, processes };
        if give.send(looked).is_err() || is_last {
            return;
        }
        // However many sockets there are, looks take half of the time at most.
        wait = period.max(start.elapsed());
    }
}
