//! The thread that scans the host while a trace goes on: dumps, polls, scans for the detectors, and facts of the
//! network namespaces. It is one thread, so that two scans never disturb each other, and so that the program that finds
//! holders is loaded once.

use std::{
    collections::{BTreeSet, HashSet},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
    thread,
};

use tcptrace_core::model::{
    half_open::Poll,
    scan::HostScan,
    socket_dump::{Scope, SocketDump},
    socket_filter::SocketFilter,
    state::State,
};

use super::facts::{conditions, namespace_here};
use crate::{
    scan::{
        host::{RawScan, Scanner, TIMEWAIT_STATES},
        namespaces::{self, NamespaceScan},
        snapshot::{Netns, SnapshotError, namespace_names, visit},
    },
    sys::{clock::monotonic_ns, host},
};

/// Capacity of the set of namespaces whose counters were read. The set grows where some namespaces cannot be entered.
const COUNTED: usize = 16_384;

/// A request to scan. The first in this order goes first, whenever it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    /// A scan of the namespaces, which records wait for.
    Namespaces,
    /// A dump of all sockets.
    Dump(Scope),
    /// A poll of half-open connections.
    Poll,
    /// A scan for the detectors.
    Scan,
}

/// A poll and its gaps, or the reason why there is none.
pub(super) type Polled = Result<(Poll, Option<String>), String>;

/// A dump, or the reason why there is none.
pub(super) type Dumped = Result<SocketDump, SnapshotError>;

enum Found {
    Namespaces(NamespaceScan),
    Dumped(Dumped),
    Polled(Polled),
    Scanned(Box<HostScan>),
}

/// A request, and its outcome.
pub(super) struct Slot<T> {
    is_wanted: bool,
    found: Option<T>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { is_wanted: false, found: None }
    }
}

impl<T> Slot<T> {
    /// Whether the outcome is still to come, or to be taken.
    pub(super) fn is_busy(&self) -> bool {
        self.is_wanted
    }

    /// After a panic an outcome may come twice. An outcome that was not requested, or has come already, is dropped.
    fn put(&mut self, found: T) {
        if self.is_wanted {
            self.found.get_or_insert(found);
        }
    }

    fn take(&mut self) -> Option<T> {
        let found = self.found.take()?;
        self.is_wanted = false;
        Some(found)
    }
}

/// The thread. When this is dropped, the thread ends after its current request.
pub(super) struct ScannerThread {
    wants: Sender<Vec<Want>>,
    /// Requests that are not sent yet: some of them together take one scan.
    unsent: Vec<Want>,
    found: Receiver<Found>,
    is_gone: bool,
    pub(super) namespaces: Slot<NamespaceScan>,
    pub(super) dumped: Slot<Dumped>,
    pub(super) polled: Slot<Polled>,
    pub(super) scanned: Slot<HostScan>,
}

impl ScannerThread {
    /// Starts the thread, for the sockets that pass the filters, of one namespace or of all. Call it once the kernel
    /// side is loaded.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(wanted: SocketFilter, netns: Option<Netns>) -> io::Result<Self> {
        let (wants, queue) = channel();
        let (give, found) = channel();
        let scanner = Scanner::new(netns.clone());
        // Where the process ids of `/proc` differ from those of events, only events show the owners of sockets.
        let scanner = if host::has_own_pids() { scanner.without_owners() } else { scanner };
        let work = move || Work { scanner, wanted, netns, counted: HashSet::new(), give }.serve(&queue);
        thread::Builder::new().name("scanner".to_owned()).spawn(work)?;
        Ok(Self {
            wants,
            unsent: Vec::new(),
            found,
            is_gone: false,
            namespaces: Slot::default(),
            dumped: Slot::default(),
            polled: Slot::default(),
            scanned: Slot::default(),
        })
    }

    /// Adds a request to the next [`Self::send`], unless one like it is pending. Returns whether it does.
    pub(super) fn want(&mut self, want: Want) -> bool {
        let is_wanted = match want {
            Want::Namespaces => &mut self.namespaces.is_wanted,
            Want::Dump(_) => &mut self.dumped.is_wanted,
            Want::Poll => &mut self.polled.is_wanted,
            Want::Scan => &mut self.scanned.is_wanted,
        };
        let asks = !*is_wanted && !self.is_gone;
        if asks {
            *is_wanted = true;
            self.unsent.push(want);
        }
        asks
    }

    /// Sends the requests.
    pub(super) fn send(&mut self) {
        if !self.unsent.is_empty() {
            self.is_gone |= self.wants.send(std::mem::take(&mut self.unsent)).is_err();
        }
    }

    pub(super) fn take_namespaces(&mut self) -> Option<NamespaceScan> {
        self.receive();
        self.namespaces.take()
    }

    pub(super) fn take_dumped(&mut self) -> Option<Dumped> {
        self.receive();
        self.dumped.take()
    }

    pub(super) fn take_polled(&mut self) -> Option<Polled> {
        self.receive();
        self.polled.take()
    }

    pub(super) fn take_scanned(&mut self) -> Option<HostScan> {
        self.receive();
        self.scanned.take()
    }

    /// Whether the thread has ended: pending requests have no outcome then.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }

    fn receive(&mut self) {
        loop {
            match self.found.try_recv() {
                Ok(Found::Namespaces(scan)) => self.namespaces.put(scan),
                Ok(Found::Dumped(dumped)) => self.dumped.put(dumped),
                Ok(Found::Polled(polled)) => self.polled.put(polled),
                Ok(Found::Scanned(scan)) => self.scanned.put(*scan),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.is_gone = true;
                    return;
                }
            }
        }
    }
}

/// State of the thread.
struct Work {
    scanner: Scanner,
    wanted: SocketFilter,
    netns: Option<Netns>,
    /// Cookies of the namespaces whose counters were read: until the end, only the first counters of each matter.
    counted: HashSet<u64>,
    give: Sender<Found>,
}

impl Work {
    fn serve(mut self, queue: &Receiver<Vec<Want>>) {
        let mut wants = BTreeSet::new();
        loop {
            if wants.is_empty() {
                match queue.recv() {
                    Ok(more) => wants.extend(more),
                    Err(_) => return,
                }
            }
            wants.extend(queue.try_iter().flatten());
            let Some(want) = wants.pop_first() else { continue };
            // One scan of the host serves both.
            let with_scan = want == Want::Dump(Scope::All) && wants.remove(&Want::Scan);
            // A request that panics does not stop the others.
            let work = AssertUnwindSafe(|| self.work(want, with_scan));
            let is_taken = catch_unwind(work).unwrap_or_else(|_| {
                let with_scan = with_scan.then_some(Want::Scan);
                [Some(want), with_scan].into_iter().flatten().all(|want| self.give.send(failed(want)).is_ok())
            });
            if !is_taken {
                return;
            }
        }
    }

    /// Carries out a request; returns whether the session still takes outcomes.
    fn work(&mut self, want: Want, with_scan: bool) -> bool {
        if with_scan {
            return self.dump_and_scan();
        }
        let found = match want {
            Want::Namespaces => self.namespaces(),
            Want::Dump(scope) => self.dump(scope),
            Want::Poll => self.poll(),
            Want::Scan => self.scan(),
        };
        self.give.send(found).is_ok()
    }

    fn namespaces(&mut self) -> Found {
        let scan = namespaces::scan(self.netns.as_ref(), |cookie| self.counted.contains(&cookie));
        if scan.is_complete || self.counted.len() >= COUNTED {
            self.counted.clear();
        }
        self.counted.extend(scan.facts.iter().filter_map(|one| one.cookie));
        Found::Namespaces(scan)
    }

    fn dump(&mut self, scope: Scope) -> Found {
        let (states, holders) = if scope == Scope::All { (0, true) } else { (TIMEWAIT_STATES, false) };
        let scan = self.scanner.scan(states, holders);
        Found::Dumped(scan.map(|scan| Scanner::dump(&scan, &self.wanted)))
    }

    fn poll(&mut self) -> Found {
        let scan = self.scanner.scan(1 << State::SYN_RECV.0, false);
        Found::Polled(scan.map(|scan| Scanner::poll(&scan)).map_err(|error| error.to_string()))
    }

    fn scan(&mut self) -> Found {
        let start_ns = monotonic_ns();
        let scan = self.scanner.scan(self.wanted.asked_states(), true);
        self.host_scan(start_ns, scan)
    }

    /// The dump first, since transitions may wait for it.
    fn dump_and_scan(&mut self) -> bool {
        let start_ns = monotonic_ns();
        let scan = self.scanner.scan(0, true);
        let dumped = match &scan {
            Ok(scan) => Ok(Scanner::dump(scan, &self.wanted)),
            Err(error) => Err(error.clone()),
        };
        if self.give.send(Found::Dumped(dumped)).is_err() {
            return false;
        }
        let scan = self.host_scan(start_ns, scan);
        self.give.send(scan).is_ok()
    }

    /// A scan, with facts of namespaces and conditions of processes.
    fn host_scan(&mut self, start_ns: u64, scan: Result<RawScan, SnapshotError>) -> Found {
        let mut namespaces = visit(self.netns.as_ref(), namespace_here).each;
        let mut names = namespace_names();
        for (inode, namespace) in &mut namespaces {
            namespace.name = inode.and_then(|inode| names.remove(&inode));
        }
        let sockets =
            scan.map(|scan| self.scanner.select(scan, &self.wanted)).map_err(|error| error.to_string());
        let processes = sockets.as_ref().map(conditions).unwrap_or_default();
        Found::Scanned(Box::new(HostScan {
            start_ns,
            end_ns: monotonic_ns(),
            sockets,
            namespaces,
            processes,
        }))
    }
}

/// The outcome of a request that panicked.
fn failed(want: Want) -> Found {
    const WHY: &str = "the scanner panicked";
    match want {
        Want::Namespaces => Found::Namespaces(NamespaceScan::default()),
        Want::Dump(_) => Found::Dumped(Err(SnapshotError::Panicked)),
        Want::Poll => Found::Polled(Err(WHY.to_owned())),
        Want::Scan => {
            let now_ns = monotonic_ns();
            let (sockets, namespaces, processes) = (Err(WHY.to_owned()), Vec::new(), Vec::new());
            Found::Scanned(Box::new(HostScan {
                start_ns: now_ns,
                end_ns: now_ns,
                sockets,
                namespaces,
                processes,
            }))
        }
    }
}
