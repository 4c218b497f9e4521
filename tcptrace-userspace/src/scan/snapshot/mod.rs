//! Snapshots: all TCP sockets of this moment, in every network namespace that can be reached. They come from the
//! interface that `ss` uses (`sock_diag(7)`).
//!
//! The kernel's event behind a trace never reports request sockets and sockets in TIME_WAIT. It reports pre-existing
//! sockets only when they change. A snapshot has them all. It is not atomic: the kernel walks its tables while sockets
//! come and go. A socket that lived through the whole walk is in the snapshot, once.

mod age;
mod answer;
mod devices;
mod dump;
mod faults;
mod namespaces;
mod never;
mod visit;
mod work;

use std::path::PathBuf;

use tcptrace_core::model::{
    dump::{Gaps, Namespace, Obstacle, Unseen},
    socket::Socket,
};
use thiserror::Error;

pub use answer::{AnswerError, Facts, decode};
pub(crate) use devices::name_of;
pub(crate) use namespaces::namespace_names;
pub(crate) use visit::{Visited, visit};

/// The sockets to read.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// One network namespace only.
    pub netns: Option<Netns>,
    /// The states to read, a bit for each ([`State`](tcptrace_core::model::state::State)). 0 is all.
    pub states: u32,
}

/// A network namespace to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Netns {
    /// Its inode number.
    pub inode: u32,
    /// A file to enter it by, where the user named one. Without it, a process or a mount in the namespace is searched
    /// for.
    pub path: Option<PathBuf>,
}

/// The sockets of this moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Every socket once, in no order.
    pub sockets: Vec<Box<Socket>>,
    /// The namespaces that were read, our own first.
    pub namespaces: Vec<Namespace>,
    /// Gaps of the snapshot.
    pub gaps: Gaps,
}

/// The reason why there is no snapshot at all. An incomplete snapshot has [`Gaps`] instead.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SnapshotError {
    /// No namespace could be read.
    #[error("the TCP sockets cannot be read: {0}")]
    Nothing(Obstacle),
    /// A fault of tcptrace.
    #[error("reading the TCP sockets panicked")]
    Panicked,
    /// No process or mount that can be seen is in the requested namespace.
    #[error(
        "no process or mount that can be seen here is in network namespace {0}; a path such as /proc/PID/ns/net \
         names one, too"
    )]
    NoSuchNamespace(u32),
}

/// Takes a snapshot. Threads of its own enter the namespaces; the calling one stays where it is.
///
/// # Errors
/// [`SnapshotError`], when not a single namespace could be read.
pub fn take(request: &Request) -> Result<Snapshot, SnapshotError> {
    let mut found = namespaces::find(request.netns.as_ref());
    if found.candidates.is_empty() {
        let obstacle = found.gaps.namespaces.pop().map(|unseen| unseen.obstacle);
        let inode = request.netns.as_ref().map_or(0, |netns| netns.inode);
        return Err(obstacle.map_or(SnapshotError::NoSuchNamespace(inode), SnapshotError::Nothing));
    }
    let mut snapshot = Snapshot { gaps: found.gaps, ..Snapshot::default() };
    for (candidate, outcome) in found.candidates.iter().zip(work::dump_all(&found.candidates, request.states))
    {
        match outcome {
            Ok(mut read) => {
                if snapshot.sockets.is_empty() {
                    snapshot.sockets = read.sockets;
                } else {
                    snapshot.sockets.append(&mut read.sockets);
                }
                read.faults.add_to(&mut snapshot.gaps);
                snapshot.namespaces.push(read.namespace);
            }
            Err(obstacle) => {
                snapshot.gaps.namespaces.push(Unseen { netns: candidate.inode, obstacle });
            }
        }
    }
    match snapshot.gaps.namespaces.first() {
        Some(first) if snapshot.namespaces.is_empty() => Err(SnapshotError::Nothing(first.obstacle)),
        _ => Ok(snapshot),
    }
}
