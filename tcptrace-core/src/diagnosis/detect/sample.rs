//! The state of the host at one moment.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::index::Lookup;
use crate::model::{
    flow::LocalEnd,
    namespace::NamespaceSample,
    process::Condition,
    scan::{HostScan, SocketScan},
    socket::{Socket, TimerKind},
    who::Who,
};

/// A scan of the host.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The end of the scan, nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// The duration of the scan, nanoseconds: each socket was read at some moment of it.
    pub took_ns: u64,
    /// All sockets that pass the filter, with the ages that earlier scans prove.
    pub sockets: Vec<Seen>,
    /// The network namespaces that were read, by their inode numbers.
    pub namespaces: BTreeMap<Option<u32>, NamespaceSample>,
    /// The gaps of the scan, in words.
    pub unseen: Option<String>,
    /// Processes for which connections wait, by their ids.
    pub processes: HashMap<u32, Condition>,
    /// The index of the scan.
    pub lookup: Lookup,
}

/// A socket and its owners.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The socket.
    pub socket: Box<Socket>,
    /// The processes that have it open, or that have its listener open.
    pub owners: Arc<[Who]>,
    /// Nanoseconds for which no data has moved, at least: none was received, and none acknowledged. `None` where that is
    /// unknown.
    pub still_ns: Option<u64>,
    /// Nanoseconds for which data has waited to be read, at least, since scans last saw the program read; `None` where none
    /// waits.
    pub unread_ns: Option<u64>,
}

impl Seen {
    /// A socket without facts from earlier scans.
    pub fn new(socket: impl Into<Box<Socket>>, owners: impl Into<Arc<[Who]>>) -> Self {
        Self { socket: socket.into(), owners: owners.into(), still_ns: None, unread_ns: None }
    }

    /// Whether data was received after this side last sent some, or within the same tick of the kernel's clock.
    pub(super) fn was_sent_to_last(&self) -> bool {
        let Some(info) = self.socket.info else { return false };
        let Some(received_ms) = info.last_data_recv_ms else { return false };
        info.last_data_sent_ms.is_none_or(|sent_ms| received_ms <= sent_ms)
    }

    /// Whether the peer takes no data: a window probe runs, and the window takes no segment. A window probe also runs where
    /// this host cannot send, for example because a filter drops its packets.
    pub(super) fn has_closed_window(&self) -> bool {
        /// Bytes of the smallest segment that every host takes (RFC 9293, 3.7.1).
        const LEAST_SEGMENT: u32 = 536;
        let probes = self.socket.timer.is_some_and(|timer| timer.kind == TimerKind::Persist);
        probes && self.socket.info.is_none_or(|info| info.snd_wnd < LEAST_SEGMENT)
    }

    /// The end to which the socket is bound.
    pub(super) fn local_end(&self) -> LocalEnd {
        self.socket.flow.local_end()
    }
}

impl HostScan {
    /// The scan in the form that detectors take.
    pub(crate) fn into_sample(self) -> Result<Sample, String> {
        let SocketScan { sockets, owners, gaps, .. } = self.sockets?;
        // Most sockets of a host belong to a few processes: sockets with the same owners share one list of them.
        let mut lists: HashMap<Vec<u32>, Arc<[Who]>> = HashMap::new();
        let mut pids = Vec::new();
        let seen = sockets.into_iter().map(|socket| {
            pids.clear();
            pids.extend(owners.of(&socket).map(|owner| owner.holder.pid));
            let list = lists.get(&pids).cloned().unwrap_or_else(|| {
                let list: Arc<[Who]> =
                    pids.iter().map(|pid| Who::of_holder(*pid, owners.process(*pid))).collect();
                lists.insert(pids.clone(), Arc::clone(&list));
                list
            });
            Seen::new(socket, list)
        });
        Ok(Sample {
            ktime_ns: self.end_ns,
            took_ns: self.end_ns.saturating_sub(self.start_ns),
            sockets: seen.collect(),
            namespaces: self.namespaces.into_iter().collect::<BTreeMap<_, _>>(),
            unseen: (!gaps.is_empty()).then(|| gaps.to_string()),
            processes: self.processes.into_iter().collect::<HashMap<_, _>>(),
            ..Sample::default()
        })
    }
}
