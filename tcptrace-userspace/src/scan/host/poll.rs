//! The half-open connections among the sockets of a scan.

use tcptrace_core::model::{
    dump::Gaps,
    half_open::{Connection, Pending, Poll},
    socket::{Kind, Socket},
};

use super::by_inode;
use crate::scan::snapshot::Snapshot;

pub(super) fn poll(snapshot: &Snapshot) -> (Poll, Option<String>) {
    let namespaces = &snapshot.namespaces;
    let places = by_inode(namespaces);
    let begun = |netns| places.get(&netns).map_or(0, |namespace| namespace.begin_ns);
    // Fast open has full sockets in this state; the kernel's events report their transitions.
    let requests = snapshot.sockets.iter().filter(|socket| socket.kind == Kind::Request);
    let poll = Poll {
        namespaces: namespaces.iter().map(|namespace| (namespace.inode, namespace.begin_ns)).collect(),
        end_ns: namespaces.iter().map(|namespace| namespace.end_ns).max().unwrap_or(0),
        pending: requests.map(|socket| pending(socket, begun(socket.flow.netns))).collect(),
    };
    // A process whose namespace cannot be read is in one of these namespaces, as a rule.
    let gaps = Gaps { unreadable_processes: 0, ..snapshot.gaps.clone() };
    (poll, (!gaps.is_empty()).then(|| gaps.to_string()))
}

/// `begun_ns`: a time before the kernel returned how long the timer still runs.
fn pending(socket: &Socket, begun_ns: u64) -> Pending {
    Pending {
        connection: Connection { cookie: socket.cookie, flow: socket.flow },
        retransmits: socket.timer.map_or(0, |timer| timer.retransmits.into()),
        fires_ns: socket.timer.map(|timer| begun_ns + u64::from(timer.expires_ms) * 1_000_000),
    }
}
