//! The writing side: a thread of its own, so that a slow reader of our output does not stop the ring from
//! being drained before the queue between them is full.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{BATCH, Batch};
use crate::{
    disk,
    record::{Origin, Record},
    sink::Sink,
};

/// Batches that may wait. More would only be memory: the ring behind it is a buffer as well.
const QUEUE: usize = 16;

/// More bytes than a batch has, unless a list has made it large.
const MOST_BYTES: usize = 1 << 20;

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// The writer has it; the batch is empty again.
    Taken,
    /// The queue is full; try later.
    Full,
    /// The writer has ended.
    Gone,
}

/// How the writer ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// Everything was written.
    Complete,
    /// The reader of our output went away.
    Closed,
    /// The output could not be written.
    Failed(io::Error),
    /// The output did not take it all in time.
    Stalled,
}

/// What was written so far.
#[derive(Debug, Default)]
struct Progress {
    transitions: AtomicU64,
    connections: AtomicU64,
    half_open: AtomicU64,
}

impl Progress {
    fn add(&self, written: Written) {
        let Written { transitions, connections, half_open } = written;
        self.half_open.fetch_add(half_open, Ordering::Release);
        self.connections.fetch_add(connections, Ordering::Release);
        self.transitions.fetch_add(transitions, Ordering::Release);
    }

    fn all(&self) -> Written {
        Written {
            transitions: self.transitions.load(Ordering::Acquire),
            connections: self.connections.load(Ordering::Acquire),
            half_open: self.half_open.load(Ordering::Acquire),
        }
    }
}

/// What was written in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) transitions: u64,
    /// Of these, ends of connections.
    pub(super) connections: u64,
    /// Records of half-open connections.
    pub(super) half_open: u64,
}

impl Written {
    fn count(&mut self, record: &Record) {
        match record {
            // What is inferred does not count as delivered.
            Record::Transition(transition) if transition.origin == Origin::Observed => {
                self.transitions += 1;
                self.connections += u64::from(transition.ends_connection());
            }
            Record::HalfOpen(change) => self.half_open += u64::from(change.recorded),
            _ => {}
        }
    }
}

pub(super) struct Writer {
    queue: Option<SyncSender<Batch>>,
    /// Batches that were written, to be filled again: their memory is not asked for anew each time. What is in them
    /// is dropped by the thread that made it, which is several times cheaper for the allocator.
    used: Receiver<Batch>,
    thread: JoinHandle<io::Result<()>>,
    progress: Arc<Progress>,
}

impl Writer {
    /// Starts the thread, which writes the header at once if there is to be one.
    pub(super) fn start(
        mut sink: Box<dyn Sink>,
        mut output: impl Write + Send + 'static,
        header: bool,
    ) -> io::Result<Self> {
        let (queue, batches) = sync_channel(QUEUE);
        let (give_back, used) = sync_channel(QUEUE);
        let progress = Arc::new(Progress::default());
        let theirs = Arc::clone(&progress);
        let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
            if header {
                write_header(&mut *sink, &mut output)?;
            }
            write_all(&mut *sink, &mut output, &batches, &give_back, &theirs)
        })?;
        Ok(Self { queue: Some(queue), used, thread, progress })
    }

    /// Hands over a batch without waiting.
    pub(super) fn offer(&mut self, batch: &mut Batch) -> Offer {
        let Some(queue) = &self.queue else { return Offer::Gone };
        match queue.try_send(std::mem::take(batch)) {
            Ok(()) => {
                *batch = self.used.try_recv().unwrap_or_else(|_| Batch::with_capacity(BATCH));
                batch.clear();
                Offer::Taken
            }
            Err(TrySendError::Full(back)) => {
                *batch = back;
                Offer::Full
            }
            Err(TrySendError::Disconnected(back)) => {
                *batch = back;
                Offer::Gone
            }
        }
    }

    /// Whether the thread has ended: it does so only when writing failed.
    pub(super) fn is_gone(&self) -> bool {
        self.thread.is_finished()
    }

    /// What has been written so far.
    pub(super) fn written(&self) -> Written {
        self.progress.all()
    }

    /// Waits for the queue to be written, as long as `patience` lasts; returns what was.
    pub(super) fn finish(mut self, patience: &mut Patience) -> (Written, Ending) {
        self.queue = None;
        while !self.thread.is_finished() {
            if patience.is_over(self.written()) {
                return (self.written(), Ending::Stalled);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let ending = match self.thread.join() {
            Ok(Ok(())) => Ending::Complete,
            Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ending::Closed,
            Ok(Err(error)) => Ending::Failed(error),
            Err(_) => Ending::Failed(io::Error::other("the writer panicked")),
        };
        (self.progress.all(), ending)
    }
}

/// How long to wait for an output at the end: as long as it takes something within the grace.
pub(super) struct Patience {
    grace: Duration,
    deadline: Instant,
    written: Written,
}

impl Patience {
    pub(super) fn new(grace: Duration) -> Self {
        Self { grace, deadline: Instant::now() + grace, written: Written::default() }
    }

    /// Whether the grace has passed since `written` last grew.
    pub(super) fn is_over(&mut self, written: Written) -> bool {
        if written != self.written {
            self.written = written;
            self.deadline = Instant::now() + self.grace;
        }
        Instant::now() >= self.deadline
    }
}

/// At the end, the reader waits no longer than it wants.
fn put(output: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    disk::write_all(output, bytes, "standard output", || false)
}

fn write_header(sink: &mut dyn Sink, output: &mut dyn Write) -> io::Result<()> {
    let mut bytes = Vec::new();
    sink.header(&mut bytes)?;
    output.write_all(&bytes)?;
    output.flush()
}

fn write_all(
    sink: &mut dyn Sink,
    output: &mut dyn Write,
    batches: &Receiver<Batch>,
    give_back: &SyncSender<Batch>,
    progress: &Progress,
) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(64 << 10);
    for batch in batches {
        bytes.clear();
        let mut written = Written::default();
        for record in &batch {
            sink.write(record, &mut bytes)?;
            written.count(record);
            if bytes.len() >= MOST_BYTES {
                put(output, &bytes)?;
                bytes.clear();
            }
        }
        put(output, &bytes)?;
        progress.add(written);
        // When nobody needs it, it is freed; and one that a list has made large, whose memory would never come back.
        if batch.capacity() <= 2 * BATCH {
            let _ = give_back.try_send(batch);
        }
    }
    Ok(())
}
