//! Requests of a program to a session that runs.

use std::{
    io,
    ops::ControlFlow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
};

use tcptrace_core::{
    diagnosis::detect::Thresholds,
    model::{
        record::Record,
        socket_filter::SocketFilter,
        stats::{Stats, SubscriberAccount},
    },
    pipeline::{Core, Interest, Subscriber},
};
use tokio::sync::watch;

use super::subscription::{OnFull, Records, subscription};
use crate::sys::wait::Waker;

enum Command {
    Stop,
    Filter(Box<SocketFilter>),
    Thresholds(Box<Thresholds>),
    Subscribe(Box<dyn Subscriber>),
}

/// Sends requests to a session, from any thread. It outlives the session; requests have no effect then.
#[derive(Clone)]
pub struct Handle {
    commands: Sender<Command>,
    waker: Arc<Waker>,
    stats: Latest,
    has_ended: watch::Receiver<bool>,
    is_stopping: Arc<AtomicBool>,
}

impl Handle {
    /// Ends the session. Records up to now still come, with the account.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.send(Command::Stop);
    }

    /// From now on, only transitions that pass this filter become records, in addition to the filter of the plan. It
    /// does not filter half-open connections and results of scans.
    pub fn set_filter(&self, filter: SocketFilter) {
        self.send(Command::Filter(Box::new(filter)));
    }

    /// From now on, detectors use other thresholds, where they run. They count anew.
    pub fn set_thresholds(&self, thresholds: Thresholds) {
        self.send(Command::Thresholds(Box::new(thresholds)));
    }

    /// Subscribes to the records that come from now on. `name` is for the account.
    pub fn subscribe(&self, name: &str, interest: Interest, on_full: OnFull) -> Records {
        let (subscription, records) = subscription((name, interest, on_full), &self.is_stopping);
        self.send(Command::Subscribe(Box::new(subscription)));
        records
    }

    /// The last counters, at most a second old while the session runs; `None` before the first.
    pub fn stats(&self) -> Option<Stats> {
        self.stats.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the session has ended.
    pub async fn ended(&self) {
        // An error means that the other end is gone, and so is the session.
        let _ = self.has_ended.clone().wait_for(|has_ended| *has_ended).await;
    }

    fn send(&self, command: Command) {
        // A session that has ended does nothing more.
        let _ = self.commands.send(command);
        self.waker.wake();
    }
}

/// The session's end of a [`Handle`].
pub(super) struct Commands {
    queue: Receiver<Command>,
    pub(super) waker: Arc<Waker>,
    stats: Latest,
    has_ended: watch::Sender<bool>,
}

/// Makes both ends, of a session that `is_stopping` ends.
///
/// # Errors
/// The process has no descriptor left.
pub(super) fn handle(is_stopping: Arc<AtomicBool>) -> io::Result<(Handle, Commands)> {
    let (commands, queue) = channel();
    let waker = Arc::new(Waker::new()?);
    let stats = Latest::default();
    let (ended, has_ended) = watch::channel(false);
    let theirs = Commands { queue, waker: Arc::clone(&waker), stats: stats.clone(), has_ended: ended };
    Ok((Handle { commands, waker, stats, has_ended, is_stopping }, theirs))
}

impl Commands {
    /// Keeps the last counters for the handle.
    pub(super) fn keeps_stats(&self) -> Box<dyn Subscriber> {
        Box::new(self.stats.clone())
    }

    /// Carries out the requests since the last call. Returns whether the session goes on.
    pub(super) fn carry_out(&self, core: &mut Core) -> ControlFlow<()> {
        for command in self.queue.try_iter() {
            match command {
                Command::Stop => return ControlFlow::Break(()),
                Command::Filter(filter) => core.out().set_filter(*filter),
                Command::Thresholds(thresholds) => core.out().set_thresholds(*thresholds),
                Command::Subscribe(subscriber) => core.out().subscribers.add(subscriber),
            }
        }
        ControlFlow::Continue(())
    }
}

/// Reports the end of the session, in whatever way it ends.
impl Drop for Commands {
    fn drop(&mut self) {
        let _ = self.has_ended.send(true);
    }
}

/// The last counters.
#[derive(Clone, Default)]
struct Latest(Arc<Mutex<Option<Stats>>>);

impl Subscriber for Latest {
    fn interest(&self) -> Interest {
        Interest::STATS
    }

    fn take(&mut self, record: &Record) -> bool {
        if let Record::Stats(stats) = record {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stats.as_ref().clone());
        }
        true
    }

    fn has_gone(&self) -> bool {
        false
    }

    fn account(&self) -> Option<SubscriberAccount> {
        None
    }
}
