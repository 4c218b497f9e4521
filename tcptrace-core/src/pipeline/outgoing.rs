//! Output for the writer. Records become bytes here, at once, while they are in the CPU's cache.

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

/// The most records of a chunk, where records become few bytes or none.
const MOST: u32 = 4_096;

/// Bytes for the writer, and the counts of their records.
#[derive(Default)]
pub struct Chunk {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The counts of their records.
    pub written: Written,
    /// The first error of the sink.
    pub failed: Option<io::Error>,
    records: u32,
}

impl Chunk {
    /// Makes an empty chunk that reuses this memory.
    pub fn in_place_of(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes, ..Self::default() }
    }

    /// Whether the chunk has neither bytes nor records to count.
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
    /// Observed transitions. Inferred ones do not count as delivered.
    pub transitions: u64,
    /// Transitions that end a connection, of the observed ones.
    pub connections: u64,
    /// Records of half-open connections.
    pub half_open: u64,
}

/// The chunk that is being filled, and the account of its records.
pub struct Outgoing {
    /// The output format; `None` where no records are written.
    sink: Option<Box<dyn Sink>>,
    /// The subscribers, which take records as they are.
    pub subscribers: Subscribers,
    /// The detectors, where they run.
    detection: Option<Detection>,
    /// Whether half-open connections become lines. If they do not, detectors may still need them.
    shows_half_open: bool,
    /// The chunk that is being filled.
    pub chunk: Chunk,
    /// The account of this chunk and all chunks before it.
    pub(crate) account: Account,
    /// The transitions that become lines.
    pub view: View,
    /// Lines that may still be written.
    left: Option<u64>,
    /// The filters, where the kernel side has not applied them.
    wanted: Option<SocketFilter>,
    /// The filters that were set while the trace ran.
    narrowed: Option<SocketFilter>,
}

impl Outgoing {
    /// Makes an output without records. `filters`: the filters that the kernel side has not applied.
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
            // Filters that hide nothing need no check.
            wanted: filters.filter(|wanted| Hidden::by(wanted).any),
            narrowed: None,
        }
    }

    /// Adds the header of the output format, which comes before the first record.
    pub fn header(&mut self) {
        if let Some(sink) = &mut self.sink {
            let outcome = sink.header(&mut self.chunk.bytes);
            self.note(outcome);
        }
    }

    /// Adds a transition, unless a filter hides it or `--count` was reached.
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

    /// Passes the counters to the subscribers. The writer gets nothing of them.
    pub(super) fn stats(&mut self, stats: Stats) {
        self.subscribers.put(&Record::Stats(Box::new(stats)));
    }

    /// Sets the thresholds of findings from now on.
    pub fn set_thresholds(&mut self, thresholds: Thresholds) {
        if let Some(detection) = &mut self.detection {
            detection.set_thresholds(thresholds);
        }
    }

    /// Sets a filter that transitions must pass from now on. The filters that the trace began with still apply.
    pub fn set_filter(&mut self, filter: SocketFilter) {
        self.narrowed = Some(filter).filter(|wanted| Hidden::by(wanted).any);
    }

    /// Sets the verdict of an event by the filters that the kernel side has not applied.
    pub(super) fn judge(&self, event: &mut Event) {
        for filter in [&self.wanted, &self.narrowed].into_iter().flatten() {
            event.verdict = filter.verdict(event);
        }
    }

    /// The detectors and their findings.
    pub fn detection(&self) -> Option<&Detection> {
        self.detection.as_ref()
    }

    /// Takes out the detectors and their findings, at the end.
    pub fn into_detection(self) -> Option<Detection> {
        self.detection
    }

    /// Whether as many lines were written as `--count` allows.
    pub fn is_satisfied(&self) -> bool {
        self.left == Some(0)
    }

    /// Whether the chunk is full, to be written.
    pub fn is_full(&self) -> bool {
        self.chunk.is_full()
    }

    fn note(&mut self, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            self.chunk.failed.get_or_insert(error);
        }
    }
}
