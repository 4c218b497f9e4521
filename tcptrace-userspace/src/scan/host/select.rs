//! The sockets that pass a filter.

use tcptrace_core::model::{
    dump,
    scan::{Gaps, Owners, SocketScan},
    socket_filter::SocketFilter,
};

use super::RawScan;
use crate::scan::{process::Processes, snapshot::Snapshot};

pub(super) fn select(scan: RawScan, wanted: &SocketFilter, processes: &mut Processes) -> SocketScan {
    let Snapshot { mut sockets, namespaces, gaps } = scan.snapshot;
    // The order of the kernel's tables shows which socket was read later than which.
    let mut owners = Owners::new(scan.holders.unwrap_or_default(), &sockets, &namespaces, scan.sockets_ns);
    owners.attach(wanted.filter.tgid, |pid| processes.get(pid));
    sockets.retain(|socket| wanted.asks_for(socket));
    let asked = sockets.len();
    sockets.retain(|socket| wanted.passes(socket, &owners));
    let without_owner = owners.identify(&sockets, |pid| processes.get(pid));
    let gaps = gaps_of(gaps, owners.unreadable(), without_owner);
    SocketScan { hidden: asked - sockets.len(), sockets, owners, namespaces, gaps }
}

/// A process that cannot be read matters only where a socket lacks its owner.
fn gaps_of(snapshot: dump::Gaps, unreadable: usize, without_owner: usize) -> Gaps {
    match unreadable.min(without_owner) {
        0 => Gaps { snapshot, ..Gaps::default() },
        _ => Gaps { snapshot, without_owner, unreadable_processes: unreadable },
    }
}
