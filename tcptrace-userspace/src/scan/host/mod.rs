//! The host at one moment: its TCP sockets and their holders. Dumps for a trace, scans for a diagnosis and the table of
//! `tcptrace sockets` all use this scan, so that they name the same owners.

mod dump;
mod poll;
mod select;

use std::{collections::HashMap, panic::resume_unwind, thread};

use tcptrace_core::model::{
    dump::Namespace, half_open::Poll, holders::Holders, scan::SocketScan, socket_dump::SocketDump,
    socket_filter::SocketFilter,
};

use super::{
    process::{HolderReader, Processes},
    snapshot::{self, Netns, Request, Snapshot, SnapshotError},
};
use crate::sys::clock::{boottime_ns, monotonic_ns};

pub use dump::TIMEWAIT_STATES;

/// Scans the host any number of times. It loads the program that finds holders at the first scan, and keeps it.
pub struct Scanner {
    netns: Option<Netns>,
    finds_owners: bool,
    holders: Option<HolderReader>,
    processes: Processes,
}

/// Sockets and their holders, as they were read.
pub struct RawScan {
    snapshot: Snapshot,
    /// Sockets in these states, a bit for each; 0 is all.
    states: u32,
    /// `None` where they were not read.
    holders: Option<Holders>,
    /// A time before holders and sockets were read, nanoseconds of `CLOCK_MONOTONIC`.
    holders_ns: u64,
    /// A time before the sockets were read, nanoseconds of `CLOCK_BOOTTIME`.
    sockets_ns: u64,
}

impl Scanner {
    /// A scanner of one network namespace, or of all.
    pub fn new(netns: Option<Netns>) -> Self {
        Self { netns, finds_owners: true, holders: None, processes: Processes::new() }
    }

    /// The same scanner, without the holders of sockets.
    #[must_use]
    pub fn without_owners(self) -> Self {
        Self { finds_owners: false, ..self }
    }

    /// Reads the sockets in these states, a bit for each, or all of them where `states` is 0. With `holders` it also
    /// reads the processes that have them open.
    ///
    /// # Errors
    /// [`SnapshotError`], when no namespace could be read.
    pub fn scan(&mut self, states: u32, holders: bool) -> Result<RawScan, SnapshotError> {
        let Self { netns, finds_owners, holders: reader, .. } = self;
        let request = Request { netns: netns.clone(), states };
        let (holders_ns, sockets_ns) = (monotonic_ns(), boottime_ns());
        if !holders || !*finds_owners {
            return Ok(RawScan {
                snapshot: snapshot::take(&request)?,
                states,
                holders: None,
                holders_ns,
                sockets_ns,
            });
        }
        // Finding the holders takes about as long as reading the sockets.
        let (snapshot, holders) = thread::scope(|scope| {
            let holders = scope.spawn(|| reader.get_or_insert_with(HolderReader::open).read());
            (snapshot::take(&request), holders.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        Ok(RawScan { snapshot: snapshot?, states, holders: Some(holders), holders_ns, sockets_ns })
    }

    /// The sockets of a scan that pass a filter, with their owners.
    pub fn select(&mut self, scan: RawScan, wanted: &SocketFilter) -> SocketScan {
        select::select(scan, wanted, &mut self.processes)
    }

    /// The half-open connections of a scan, and its gaps, for people.
    pub fn poll(scan: &RawScan) -> (Poll, Option<String>) {
        poll::poll(&scan.snapshot)
    }

    /// The sockets that a trace needs: all that pass a filter, and the listeners. Their owners are those of now.
    pub fn dump(scan: &RawScan, wanted: &SocketFilter) -> SocketDump {
        dump::dump(scan, wanted)
    }
}

/// The namespaces of a snapshot, to find those of many sockets.
fn by_inode(namespaces: &[Namespace]) -> HashMap<Option<u32>, &Namespace> {
    namespaces.iter().map(|namespace| (namespace.inode, namespace)).collect()
}
