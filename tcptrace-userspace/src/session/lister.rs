//! A thread that makes lists of sockets while the trace goes on.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    thread,
};

use tcptrace_core::model::{
    listing::{Listing, Scope},
    wanted::Wanted,
};

use crate::{
    scan::{
        process::HolderReader,
        snapshot::{Netns, SnapshotError},
    },
    session::listing::list,
    sys::{host, priority},
};

/// The thread. It ends when this is dropped, with the list that it is at.
pub(super) struct Lister {
    orders: SyncSender<Scope>,
    lists: Receiver<Result<Listing, SnapshotError>>,
    busy: bool,
}

/// What has come of an order.
pub(super) enum Progress {
    /// Nothing yet.
    Waiting,
    /// A list.
    Done(Listing),
    /// Nothing can be read.
    Failed(SnapshotError),
    /// Nothing was ordered.
    Nothing,
}

impl Lister {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(wanted: Wanted, netns: Option<Netns>) -> io::Result<Self> {
        let (orders, queue) = sync_channel::<Scope>(1);
        let (give, lists) = sync_channel(1);
        thread::Builder::new().name("lister".to_owned()).spawn(move || {
            priority::lower();
            // Where process ids are others than events', these are to say whose a socket is.
            let mut holders = (!host::has_own_pids()).then(HolderReader::open);
            for scope in queue {
                if give.send(list(scope, &wanted, netns.clone(), holders.as_mut())).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { orders, lists, busy: false })
    }

    /// Orders a list, unless one is being made.
    pub(super) fn order(&mut self, scope: Scope) {
        self.busy = self.busy || self.orders.try_send(scope).is_ok();
    }

    /// Whether a list is being made.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// The list that was ordered, if it is ready.
    pub(super) fn take(&mut self) -> Progress {
        if !self.busy {
            return Progress::Nothing;
        }
        let progress = match self.lists.try_recv() {
            Err(TryRecvError::Empty) => return Progress::Waiting,
            Ok(Ok(listing)) => Progress::Done(listing),
            Ok(Err(error)) => Progress::Failed(error),
            Err(TryRecvError::Disconnected) => Progress::Nothing,
        };
        self.busy = false;
        progress
    }
}
