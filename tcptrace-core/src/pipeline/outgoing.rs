//! Output for the writer: records become bytes here, at once, while they are in the cache.

use std::io;

use super::{Options, account::Account};
use crate::{
    diagnosis::{Detection, detect::Thresholds},
    model::{
        event::Event,
        header::Hidden,
        record::Record,
        scan::HostScan,
        socket_filter::SocketFilter,
        stats::Stats,
        transition::{Origin, Transition},
        view::View,
    },
    pipeline::{Sink, Subscribers},
};

/// Bytes that are written at once. Large writes are cheaper: the page cache takes them in large pages.
const CHUNK: usize = 256 << 10;

/// Records that are taken at once where they become few bytes, or none.
const MOST: u32 = 4_096;

/// Bytes for the writer, and the counts of their records.
#[derive(Default)]
pub struct Chunk {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The counts of their records.
    pub written: Written,
    /// Why there are no more of them.
    pub failed: Option<io::Error>,
    records: u32,
}

impl Chunk {
    /// An empty one in this memory.
    pub fn in_place_of(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes, ..Self::default() }
    }

    /// Whether there is nothing in it for the writer, not even something to count.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.records == 0
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= CHUNK || self.records >= MOST
    }
}

/// Counts of records that were written, or are to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Transitions, without those that are inferred: these do not count as delivered.
    pub transitions: u64,
    /// Ends of connections, of the transitions.
    pub connections: u64,
    /// Records of half-open connections.
    pub half_open: u64,
}

/// The chunk that is being filled, and the account of what went into it.
pub struct Outgoing {
    /// `None` where nobody wants to see them.
    sink: Option<Box<dyn Sink>>,
    /// The subscribers, which take records as they are.
    pub subscribers: Subscribers,
    /// The detectors, where they run.
    detection: Option<Detection>,
    /// Half-open connections become lines. Where they do not, detectors may need them all the same.
    shows_half_open: bool,
    /// The chunk that is being filled.
    pub chunk: Chunk,
    /// What went into it and those before.
    pub(crate) account: Account,
    /// Which transitions become lines.
    pub view: View,
    /// Lines that may still be written.
    left: Option<u64>,
    /// Filters, where the kernel side has not applied these.
    wanted: Option<SocketFilter>,
    /// And those that were set while it ran.
    narrowed: Option<SocketFilter>,
}

impl Outgoing {
    /// `filters`: those that the kernel side has not applied.
    pub fn new(
        sink: Option<Box<dyn Sink>>,
        detection: Option<Detection>,
        options: &Options,
        filters: Option<SocketFilter>,
    ) -> Self {
        Self {
            sink,
            subscribers: Subscribers::default(),
            detection,
            shows_half_open: options.shows_half_open,
            chunk: Chunk::default(),
            account: Account::default(),
            view: options.view,
            left: options.count,
            // Those that hide nothing need not be asked.
            wanted: filters.filter(|wanted| Hidden::by(wanted).any),
            narrowed: None,
        }
    }

    /// Adds what comes before the first record.
    pub fn header(&mut self) {
        if let Some(sink) = &mut self.sink {
            let outcome = sink.header(&mut self.chunk.bytes);
            self.note(outcome);
        }
    }

    /// Adds a transition, unless enough are there.
    pub fn push(&mut self, transition: &Transition) {
        let observed = u64::from(transition.origin == Origin::Observed);
        let hides = |filter: &SocketFilter| !filter.passes_transition(transition);
        if self.wanted.as_ref().is_some_and(hides) || self.narrowed.as_ref().is_some_and(hides) {
            self.account.hidden += observed;
            return;
        }
        if self.is_satisfied() {
            self.account.surplus += observed;
            return;
        }
        if let Some(left) = &mut self.left
            && self.view.shows(transition)
        {
            *left -= 1;
        }
        self.account.sent += observed;
        self.account.inferred += 1 - observed;
        let connections = u64::from(transition.ends_connection());
        self.account.connections += connections;
        self.chunk.written.transitions += observed;
        self.chunk.written.connections += connections;
        self.chunk.records += 1;
        if let Some(detection) = &mut self.detection {
            detection.transition(transition);
        }
        if let Some(sink) = &mut self.sink {
            let outcome = sink.transition(transition, &mut self.chunk.bytes);
            self.note(outcome);
        }
        self.subscribers.transition(transition);
    }

    /// Adds a record of another kind.
    pub fn put(&mut self, record: &Record) {
        self.subscribers.put(record);
        self.chunk.records += 1;
        if let Record::HalfOpen(change) = record {
            self.chunk.written.half_open += u64::from(change.recorded);
            if let Some(detection) = &mut self.detection {
                detection.half_open(change);
            }
            if !self.shows_half_open {
                return;
            }
        }
        if let Some(sink) = &mut self.sink {
            let outcome = sink.write(record, &mut self.chunk.bytes);
            self.note(outcome);
        }
    }

    /// Takes a scan of the host, for the detectors.
    pub fn scanned(&mut self, scan: HostScan) {
        let Some(detection) = &mut self.detection else { return };
        for found in detection.scanned(scan.into_sample()) {
            self.put(&Record::Finding(Box::new(found)));
        }
    }

    /// Gives the subscribers the counters: there is nothing to be written of them.
    pub(super) fn stats(&mut self, stats: Stats) {
        self.subscribers.put(&Record::Stats(Box::new(stats)));
    }

    /// From now on, findings go by other thresholds.
    pub fn set_thresholds(&mut self, thresholds: Thresholds) {
        if let Some(detection) = &mut self.detection {
            detection.set_thresholds(thresholds);
        }
    }

    /// From now on, only transitions that this filter passes leave the trace, too. What the trace was begun with still holds.
    pub fn set_filter(&mut self, filter: SocketFilter) {
        self.narrowed = Some(filter).filter(|wanted| Hidden::by(wanted).any);
    }

    /// Notes in an event what the filters say that the kernel side has not applied.
    pub(super) fn judge(&self, event: &mut Event) {
        for filter in [&self.wanted, &self.narrowed].into_iter().flatten() {
            event.verdict = filter.verdict(event);
        }
    }

    /// The detectors and their findings.
    pub fn detection(&self) -> Option<&Detection> {
        self.detection.as_ref()
    }

    /// The same, at the end.
    pub fn into_detection(self) -> Option<Detection> {
        self.detection
    }

    /// Whether as many lines were written as `--count` allows.
    pub fn is_satisfied(&self) -> bool {
        self.left == Some(0)
    }

    /// Whether the chunk has as much as is written at once.
    pub fn is_full(&self) -> bool {
        self.chunk.is_full()
    }

    fn note(&mut self, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            self.chunk.failed.get_or_insert(error);
        }
    }
}
