//! The thread that scans the host while a trace goes on: lists, polls, scans for the detectors, and what the network namespaces
//! say of themselves. One thread, so that two of these never disturb each other, and so that the kernel's part of it is loaded
//! once.

use std::{
    io,
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
    thread,
    time::{Duration, Instant},
};

use tcptrace_core::model::{
    half_open::Poll,
    listing::{Listing, Scope},
    scan::Looked,
    state::State,
    wanted::Wanted,
};

use super::facts::{conditions, namespace_here};
use crate::{
    scan::{
        host::{HostScan, Scanner, TIMEWAIT_STATES},
        namespaces::{self, NamespaceScan},
        snapshot::{Netns, SnapshotError, namespace_names, visit},
    },
    sys::{clock::monotonic_ns, host},
};

/// What somebody wants of the host. Of several, the first in this order is done first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    /// The namespaces: records wait for them.
    Namespaces,
    /// A list of all sockets.
    List(Scope),
    /// A poll of half-open connections.
    Poll,
    /// A scan for the detectors.
    Scan,
}

/// A poll, and why it lacks something; or why there is none.
pub(super) type Polled = Result<(Poll, Option<String>), String>;

/// A list, or why there is none.
pub(super) type Listed = Result<Listing, SnapshotError>;

enum Found {
    Namespaces(NamespaceScan),
    Listed(Listed),
    Polled(Polled),
    Scanned(Box<Looked>),
}

/// What was wanted, and what has come of it.
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
    /// Whether it is still to come, or to be taken.
    pub(super) fn is_busy(&self) -> bool {
        self.is_wanted
    }

    fn take(&mut self) -> Option<T> {
        let found = self.found.take()?;
        self.is_wanted = false;
        Some(found)
    }
}

/// The thread. It ends when this is dropped, with what it is at.
pub(super) struct ScannerThread {
    wants: Sender<Want>,
    found: Receiver<Found>,
    is_gone: bool,
    pub(super) namespaces: Slot<NamespaceScan>,
    pub(super) listed: Slot<Listed>,
    pub(super) polled: Slot<Polled>,
    pub(super) scanned: Slot<Looked>,
}

impl ScannerThread {
    /// Starts the thread, for the wanted sockets of one namespace or of all. Call it once the kernel side is loaded.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(wanted: Wanted, netns: Option<Netns>) -> io::Result<Self> {
        let (wants, queue) = channel();
        let (give, found) = channel();
        let scanner = Scanner::new(netns.clone());
        // Where process ids are others than events', these are to say whose a socket is.
        let scanner = if host::has_own_pids() { scanner.without_owners() } else { scanner };
        let work = move || Work { scanner, wanted, netns, give }.serve(&queue);
        thread::Builder::new().name("scanner".to_owned()).spawn(work)?;
        Ok(Self {
            wants,
            found,
            is_gone: false,
            namespaces: Slot::default(),
            listed: Slot::default(),
            polled: Slot::default(),
            scanned: Slot::default(),
        })
    }

    /// Asks for something, unless it is still to come; whether it did.
    pub(super) fn want(&mut self, want: Want) -> bool {
        let is_wanted = match want {
            Want::Namespaces => &mut self.namespaces.is_wanted,
            Want::List(_) => &mut self.listed.is_wanted,
            Want::Poll => &mut self.polled.is_wanted,
            Want::Scan => &mut self.scanned.is_wanted,
        };
        let asks = !*is_wanted && self.wants.send(want).is_ok();
        *is_wanted |= asks;
        asks
    }

    pub(super) fn take_namespaces(&mut self) -> Option<NamespaceScan> {
        self.receive();
        self.namespaces.take()
    }

    pub(super) fn take_listed(&mut self) -> Option<Listed> {
        self.receive();
        self.listed.take()
    }

    pub(super) fn take_polled(&mut self) -> Option<Polled> {
        self.receive();
        self.polled.take()
    }

    pub(super) fn take_scanned(&mut self) -> Option<Looked> {
        self.receive();
        self.scanned.take()
    }

    /// Waits for what the namespaces say; nothing where the thread has ended.
    pub(super) fn wait_for_namespaces(&mut self) -> NamespaceScan {
        loop {
            match self.take_namespaces() {
                Some(scan) => return scan,
                None if self.is_gone => return NamespaceScan::default(),
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Whether nothing more comes of what was wanted.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }

    fn receive(&mut self) {
        loop {
            match self.found.try_recv() {
                Ok(Found::Namespaces(scan)) => self.namespaces.found = Some(scan),
                Ok(Found::Listed(listed)) => self.listed.found = Some(listed),
                Ok(Found::Polled(polled)) => self.polled.found = Some(polled),
                Ok(Found::Scanned(looked)) => self.scanned.found = Some(*looked),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.is_gone = true;
                    return;
                }
            }
        }
    }
}

/// What the thread has.
struct Work {
    scanner: Scanner,
    wanted: Wanted,
    netns: Option<Netns>,
    give: Sender<Found>,
}

impl Work {
    fn serve(mut self, queue: &Receiver<Want>) {
        while let Ok(first) = queue.recv() {
            let mut wants: Vec<Want> = std::iter::once(first).chain(queue.try_iter()).collect();
            wants.sort_unstable();
            // One scan of the host does for both.
            let list = Want::List(Scope::All);
            let does_both = wants.contains(&list) && wants.contains(&Want::Scan);
            for want in wants {
                let found = match want {
                    Want::Namespaces => vec![Found::Namespaces(namespaces::scan(self.netns.as_ref()))],
                    Want::List(Scope::All) if does_both => self.list_and_scan(),
                    Want::Scan if does_both => Vec::new(),
                    Want::List(scope) => vec![self.list(scope)],
                    Want::Poll => vec![self.poll()],
                    Want::Scan => vec![self.scan()],
                };
                for found in found {
                    if self.give.send(found).is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn list(&mut self, scope: Scope) -> Found {
        let begun = Instant::now();
        let (states, holders) = if scope == Scope::All { (0, true) } else { (TIMEWAIT_STATES, false) };
        let scan = self.scanner.scan(states, holders);
        Found::Listed(scan.map(|scan| self.listing(&scan, begun)))
    }

    fn poll(&mut self) -> Found {
        let scan = self.scanner.scan(1 << State::SYN_RECV.0, false);
        Found::Polled(scan.map(|scan| Scanner::poll(&scan)).map_err(|error| error.to_string()))
    }

    fn scan(&mut self) -> Found {
        let start_ns = monotonic_ns();
        let scan = self.scanner.scan(self.wanted.asked_states(), true);
        self.looked(start_ns, scan)
    }

    fn list_and_scan(&mut self) -> Vec<Found> {
        let (begun, start_ns) = (Instant::now(), monotonic_ns());
        let scan = self.scanner.scan(0, true);
        let listed = match &scan {
            Ok(scan) => Ok(self.listing(scan, begun)),
            Err(error) => Err(error.clone()),
        };
        vec![Found::Listed(listed), self.looked(start_ns, scan)]
    }

    fn listing(&mut self, scan: &HostScan, begun: Instant) -> Listing {
        let listing = self.scanner.list(scan, &self.wanted);
        Listing { took: begun.elapsed(), ..listing }
    }

    /// A scan, and what namespaces and processes say of themselves.
    fn looked(&mut self, start_ns: u64, scan: Result<HostScan, SnapshotError>) -> Found {
        let mut namespaces = visit(self.netns.as_ref(), namespace_here);
        let mut names = namespace_names();
        for (inode, namespace) in &mut namespaces {
            namespace.name = inode.and_then(|inode| names.remove(&inode));
        }
        let look = scan.map(|scan| self.scanner.look(scan, &self.wanted)).map_err(|error| error.to_string());
        let processes = look.as_ref().map(conditions).unwrap_or_default();
        Found::Scanned(Box::new(Looked { start_ns, end_ns: monotonic_ns(), look, namespaces, processes }))
    }
}
