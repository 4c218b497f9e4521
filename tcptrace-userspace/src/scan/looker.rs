//! One look at the host: its TCP sockets of this moment, those that are wanted, with their owners.

use std::{panic::resume_unwind, thread};

use tcptrace_core::model::{
    dump,
    holders::Holders,
    scan::{Gaps, Look, Owners, order},
    socket::Socket,
    wanted::Wanted,
};

use crate::{
    scan::{
        process::{HolderReader, Processes},
        snapshot::{self, Netns, Request, Snapshot, SnapshotError},
    },
    sys::clock::boottime_ns,
};

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
        owners.look_at(wanted.filter.tgid, |pid| processes.get(pid));
        sockets.retain(|socket| wanted.passes(socket, &owners));
        order::sort(&mut sockets);
        owners.identify(&sockets, |pid| processes.get(pid));
        let gaps = gaps_of(gaps, &sockets, &owners);
        Ok(Look { hidden: all - sockets.len(), sockets, owners, namespaces, gaps })
    }
}

/// A process that cannot be looked into matters only where a socket lacks its owner.
fn gaps_of(snapshot: dump::Gaps, sockets: &[Socket], owners: &Owners) -> Gaps {
    match owners.unreadable() {
        0 => Gaps { snapshot, ..Gaps::default() },
        unreadable => {
            let without_owner = sockets.iter().filter(|socket| owners.is_missing(socket)).count();
            let unreadable_processes = if without_owner > 0 { unreadable } else { 0 };
            Gaps { snapshot, without_owner, unreadable_processes }
        }
    }
}
