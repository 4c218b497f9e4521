//! The plan of a session, before it starts.

use std::{
    io::{self, Read, Write},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use tcptrace_core::{
    capture::Reader,
    diagnosis::detect,
    model::{header::Header, socket_filter::SocketFilter},
    pipeline::{Interest, Sink, Subscriber},
};

use super::{
    Error, HalfOpenBy, Session, Settings, live,
    notice::{Notice, Notices},
    replay,
    subscription::{OnFull, Records, subscription},
};
use crate::{recording::Target, scan::snapshot::Netns};

/// The plan of a session. [`Self::start`] starts it.
pub struct Plan {
    source: Source,
    settings: Settings,
    pub(super) parts: Parts,
}

enum Source {
    Live,
    Replay(Box<Reader<Box<dyn Read + Send>>>),
}

/// Threads of a session that must not wait for a CPU for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionThread {
    /// Reads the ring buffer, or a capture. Records that come while it waits for a CPU stay in the ring as long as they
    /// fit. The thread that answers its questions about processes inherits the settings of this thread.
    Ring,
    /// Reads processes that connect or listen for the first time. It sleeps nearly always; a process that ends before
    /// the thread runs stays without a name.
    Newcomers,
}

/// The function that a thread calls at its start.
pub(super) type AtStart = Arc<dyn Fn(SessionThread) + Send + Sync>;

/// The parts that live sessions and replays share.
pub(super) struct Parts {
    pub(super) output: Option<Output>,
    pub(super) subscribers: Vec<Box<dyn Subscriber>>,
    pub(super) notices: Notices,
    pub(super) at_start: AtStart,
    /// Set once the session is stopped.
    pub(super) is_stopping: Arc<AtomicBool>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            output: None,
            subscribers: Vec::new(),
            notices: Notices::default(),
            at_start: Arc::new(|_| ()),
            is_stopping: Arc::default(),
        }
    }
}

/// Makes a format for a trace.
type MakeSink = dyn FnOnce(&Header) -> Box<dyn Sink> + Send;

/// An output of bytes.
pub(super) struct Output {
    pub(super) format: Box<MakeSink>,
    pub(super) to: Box<dyn Write + Send>,
}

impl Plan {
    pub(super) fn live(settings: Settings) -> Self {
        Self { source: Source::Live, settings, parts: Parts::default() }
    }

    pub(super) fn replay<R: Read + Send + 'static>(settings: Settings, reader: Reader<R>) -> Self {
        Self { source: Source::Replay(Box::new(reader.boxed())), ..Self::live(settings) }
    }

    /// Restricts the session to these sockets and transitions. A live session filters in the kernel, so sockets that it
    /// excludes cost next to nothing.
    #[must_use]
    pub fn filter(mut self, filter: SocketFilter) -> Self {
        let SocketFilter { filter, lports, rports } = filter;
        // Scans need not read the other namespaces.
        self.settings.netns = (filter.netns != 0).then_some(Netns { inode: filter.netns, path: None });
        let bpf = &mut self.settings.bpf;
        (bpf.filter, bpf.lports, bpf.rports) = (filter, lports, rports);
        self
    }

    /// Follows half-open connections: SYN received, final ACK not yet.
    #[must_use]
    pub fn half_open(mut self, by: HalfOpenBy) -> Self {
        self.settings.half_open = Some(by);
        self
    }

    /// Scans all sockets of the host at this interval.
    #[must_use]
    pub fn scan_every(mut self, interval: Duration) -> Self {
        self.settings.scans = Some(interval);
        self
    }

    /// Runs detectors, which find faults. They need scans and half-open connections, which this turns on where nothing
    /// else is set. They forget what is old.
    #[must_use]
    pub fn detect(mut self, options: detect::Options) -> Self {
        self.settings.detect_on(options);
        self
    }

    /// Records a live session to a capture.
    #[must_use]
    pub fn record(mut self, target: Target) -> Self {
        self.settings.record = Some(target);
        self
    }

    /// Ends the session after this time; a replay ends after this much of the capture.
    #[must_use]
    pub fn duration(mut self, duration: Duration) -> Self {
        self.settings.duration = Some(duration);
        self
    }

    /// Calls `take` with notices for people, on threads of the session. It must not take long.
    #[must_use]
    pub fn notices(mut self, take: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        self.parts.notices = Notices::new(take);
        self
    }

    /// Calls `call` on each of these threads before it begins, to set its priority, or the CPUs that it runs on.
    #[must_use]
    pub fn at_start(mut self, call: impl Fn(SessionThread) + Send + Sync + 'static) -> Self {
        self.parts.at_start = Arc::new(call);
        self
    }

    /// Writes all records to `to` in this format, on a thread of its own. A live session ends when `to` cannot be
    /// written any more. Records that it does not take in time stay in the ring buffer as long as they fit.
    #[must_use]
    pub fn output(
        mut self,
        format: impl FnOnce(&Header) -> Box<dyn Sink> + Send + 'static,
        to: Box<dyn Write + Send>,
    ) -> Self {
        self.parts.output = Some(Output { format: Box::new(format), to });
        self
    }

    /// Subscribes to records from the first on. `name` is for the account.
    pub fn subscribe(&mut self, name: &str, interest: Interest, on_full: OnFull) -> Records {
        let (subscription, records) = subscription((name, interest, on_full), &self.parts.is_stopping);
        self.parts.subscribers.push(Box::new(subscription));
        records
    }

    /// Starts the session. When this returns, a live one is attached: it misses nothing from now on.
    ///
    /// # Errors
    /// [`enum@Error`]: the kernel refuses, a file cannot be made, or the plan contradicts itself.
    pub fn start(self) -> Result<Session, Error> {
        let Self { source, settings, parts } = self;
        if settings.detect.is_some() && settings.bpf.filter.by_state() {
            return Err(Error::StatesHidden);
        }
        match source {
            Source::Live => live::start(&settings, parts),
            Source::Replay(reader) => replay::start(settings, *reader, parts),
        }
    }
}

impl Output {
    /// An output that drops all bytes, for sessions that have subscribers only.
    pub(super) fn nowhere() -> Box<dyn Write + Send> {
        Box::new(io::sink())
    }
}
