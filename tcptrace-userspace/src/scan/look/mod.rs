//! One look at the host: its TCP sockets of this moment, those that are wanted, with their owners.

mod groups;
mod listeners;
mod order;
mod owners;
mod wanted;

use std::{fmt, panic::resume_unwind, thread};

pub use groups::{By, Group, Key, Listening};
pub use owners::{Owner, Owners};

use crate::{
    model::{socket::Socket, wanted::Wanted},
    scan::{
        process::{HolderReader, Holders, Processes},
        snapshot::{self, Namespace, Netns, Request, Snapshot, SnapshotError},
    },
    sys::clock::boottime_ns,
};

/// What was seen.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Look {
    /// The wanted sockets, in order.
    pub sockets: Vec<Socket>,
    /// Whose they are.
    pub owners: Owners,
    /// How many more there were among those that were asked for.
    pub hidden: usize,
    /// The namespaces that were read.
    pub namespaces: Vec<Namespace>,
    /// What could not be seen.
    pub gaps: Gaps,
}

/// What a look could not see.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Gaps {
    /// Of the kernel's sockets.
    pub snapshot: snapshot::Gaps,
    /// Sockets that a process has open, which could not be found.
    pub without_owner: usize,
    /// Processes that could not be looked into, where there are such sockets.
    pub unreadable_processes: usize,
}

impl Gaps {
    /// Whether everything was seen.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One line.
impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.snapshot)?;
        if self.unreadable_processes > 0 {
            let separator = if self.snapshot.is_empty() { "" } else { ", " };
            write!(
                f,
                "{separator}owners (sockets without: {}, processes that could not be looked into: {})",
                self.without_owner, self.unreadable_processes
            )?;
        }
        Ok(())
    }
}

/// Looks again and again.
pub struct Looker {
    wanted: Wanted,
    netns: Option<Netns>,
    finds_owners: bool,
    /// Opened by the first look, at the same time as it reads the sockets.
    holders: Option<HolderReader>,
    processes: Processes,
}

impl Looker {
    /// For the wanted sockets, of one network namespace or of all.
    pub fn new(wanted: Wanted, netns: Option<Netns>) -> Self {
        Self { wanted, netns, finds_owners: true, holders: None, processes: Processes::new() }
    }

    /// The same, without finding out who has them open.
    #[must_use]
    pub fn without_owners(self) -> Self {
        Self { finds_owners: false, ..self }
    }

    /// Looks.
    ///
    /// # Errors
    /// [`SnapshotError`], when there is nothing to be seen at all.
    pub fn look(&mut self) -> Result<Look, SnapshotError> {
        let Self { wanted, netns, finds_owners, holders, processes } = self;
        let request = Request { netns: netns.clone(), states: wanted.asked_states() };
        let seen_ns = boottime_ns();
        // Finding the holders takes about as long as reading the sockets.
        let (snapshot, holders) = thread::scope(|scope| {
            let mut read = || holders.get_or_insert_with(HolderReader::open).read();
            let holders = scope.spawn(move || if *finds_owners { read() } else { Holders::default() });
            (snapshot::take(&request), holders.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        let Snapshot { mut sockets, namespaces, gaps } = snapshot?;
        let all = sockets.len();
        // The order of the kernel's tables tells what was read later than what.
        let mut owners = Owners::new(holders, &sockets, &namespaces, seen_ns);
        owners.look_at(wanted.filter.tgid, processes);
        sockets.retain(|socket| wanted.passes(socket, &owners));
        order::sort(&mut sockets);
        owners.identify(&sockets, processes);
        let gaps = gaps_of(gaps, &sockets, &owners);
        Ok(Look { hidden: all - sockets.len(), sockets, owners, namespaces, gaps })
    }
}

impl Look {
    /// What is wanted of it; it may have been made for more.
    pub(crate) fn narrow(&mut self, wanted: &Wanted) {
        let Self { sockets, owners, hidden, namespaces, .. } = self;
        sockets.retain(|socket| wanted.asks_for(socket));
        let all = sockets.len();
        sockets.retain(|socket| wanted.passes(socket, owners));
        *hidden = all - sockets.len();
        namespaces
            .retain(|namespace| wanted.filter.netns == 0 || namespace.inode == Some(wanted.filter.netns));
    }
}

/// A process that cannot be looked into matters only where a socket lacks its owner.
fn gaps_of(snapshot: snapshot::Gaps, sockets: &[Socket], owners: &Owners) -> Gaps {
    match owners.unreadable() {
        0 => Gaps { snapshot, ..Gaps::default() },
        unreadable => {
            let without_owner = sockets.iter().filter(|socket| owners.is_missing(socket)).count();
            let unreadable_processes = if without_owner > 0 { unreadable } else { 0 };
            Gaps { snapshot, without_owner, unreadable_processes }
        }
    }
}
