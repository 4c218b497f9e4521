//! The writing side: a thread of its own. A slow reader of the output stops the drain of the ring only once the queue
//! between both threads is full.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use tcptrace_core::pipeline::{Chunk, Written};

use super::notice::Notices;
use crate::sys::{disk, stall_timeout::StallTimeout};

/// Chunks that may wait. More would only use memory: the ring before the queue is a buffer as well.
const QUEUE: usize = 16;

/// More bytes than a chunk has, unless a table has made it large.
const LARGE: usize = 1 << 20;

/// Outcome of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// The writer has it; the chunk is empty again.
    Taken,
    /// The queue is full; try later.
    Full,
    /// The writer has ended.
    Gone,
}

/// How an output ended.
#[derive(Debug)]
pub enum Ending {
    /// Everything was written.
    Complete,
    /// The reader of our output went away.
    Closed,
    /// The output could not be written.
    Failed(io::Error),
    /// The output did not take it all in time.
    Stalled,
}

/// Records that were written so far, by kind.
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

pub(super) struct Writer {
    queue: Option<SyncSender<Chunk>>,
    /// The memory of written chunks, to be filled again: it is not allocated anew each time.
    used: Receiver<Vec<u8>>,
    thread: JoinHandle<io::Result<()>>,
    progress: Arc<Progress>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(mut output: Box<dyn Write + Send>, notices: &Notices) -> io::Result<Self> {
        let (queue, chunks) = sync_channel(QUEUE);
        let (give_back, used) = sync_channel(QUEUE);
        let progress = Arc::new(Progress::default());
        let theirs = Arc::clone(&progress);
        let notify = notices.of_disk();
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || write_all(&mut *output, &chunks, (&give_back, &theirs), &*notify))?;
        Ok(Self { queue: Some(queue), used, thread, progress })
    }

    /// Hands over a chunk without waiting, unless it is empty.
    pub(super) fn offer(&mut self, chunk: &mut Chunk) -> Offer {
        if chunk.is_empty() {
            return Offer::Taken;
        }
        let Some(queue) = &self.queue else { return Offer::Gone };
        match queue.try_send(std::mem::take(chunk)) {
            Ok(()) => {
                *chunk = Chunk::in_place_of(self.used.try_recv().unwrap_or_default());
                Offer::Taken
            }
            Err(TrySendError::Full(back)) => {
                *chunk = back;
                Offer::Full
            }
            Err(TrySendError::Disconnected(back)) => {
                *chunk = back;
                Offer::Gone
            }
        }
    }

    /// Whether the thread has ended: it does so only when writing failed.
    pub(super) fn is_gone(&self) -> bool {
        self.thread.is_finished()
    }

    /// Records that have been written so far, by kind.
    pub(super) fn written(&self) -> Written {
        self.progress.all()
    }

    /// Waits until the queue is written, as long as `stall_timeout` lasts. Returns the records that were written.
    pub(super) fn finish(mut self, stall_timeout: &mut StallTimeout<Written>) -> (Written, Ending) {
        self.queue = None;
        while !self.thread.is_finished() {
            if stall_timeout.is_over(self.written()) {
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

fn write_all(
    output: &mut dyn Write,
    chunks: &Receiver<Chunk>,
    (give_back, progress): (&SyncSender<Vec<u8>>, &Progress),
    notify: &disk::Notify,
) -> io::Result<()> {
    for Chunk { bytes, written, failed, .. } in chunks {
        // Never gives up here: at the end, the reader limits its own wait.
        disk::write_all(output, &bytes, "the output", notify, || false)?;
        if let Some(error) = failed {
            return Err(error);
        }
        progress.add(written);
        // Memory that is not needed is freed. So is the memory of a chunk that a table has made large, which would
        // never be freed later.
        if bytes.capacity() <= LARGE {
            let _ = give_back.try_send(bytes);
        }
    }
    Ok(())
}
