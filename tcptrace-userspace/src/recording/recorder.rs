//! Recording: inputs into frames, frames into files, on a thread of its own.

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{JoinHandle, sleep},
    time::Duration,
};

use rustix::rand::{GetRandomFlags, getrandom};
use tcptrace_core::{
    capture::{Anonymizer, Error, encode, put},
    model::{header::Header, input::Input},
};

use super::{Target, rotate::Files};
use crate::sys::{disk, stall_timeout::StallTimeout};

/// Bytes of a full frame.
const FULL: usize = 256 << 10;

/// Frames that may wait to be written.
const QUEUE: usize = 32;

/// At the end, the recorder gives up a disk that takes nothing for this long.
const GRACE: Duration = Duration::from_secs(5);

/// A request to the thread.
enum Order {
    /// Write a frame with these bytes.
    Frame(Vec<u8>),
    /// Begin another file with this header.
    Rotate(Box<Header>),
}

/// Whether the recorder can take more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capacity {
    /// It can.
    Free,
    /// The disk is slow: try later.
    Full,
    /// The thread has ended; [`Recorder::finish`] returns the reason.
    Gone,
}

/// Progress of the thread.
#[derive(Default)]
struct Progress {
    /// Bytes of the current file.
    bytes: AtomicU64,
    /// Files that were begun after the first.
    rotations: AtomicU64,
}

impl Progress {
    /// Bytes and files, which change while the thread makes progress.
    fn so_far(&self) -> (u64, u64) {
        (self.bytes.load(Ordering::Relaxed), self.rotations.load(Ordering::Relaxed))
    }
}

/// Records a trace.
pub(crate) struct Recorder {
    path: PathBuf,
    frame: Vec<u8>,
    anonymizer: Option<Anonymizer>,
    orders: SyncSender<Order>,
    /// Orders that found the queue full, oldest first.
    waiting: VecDeque<Order>,
    gone: bool,
    progress: Arc<Progress>,
    /// Files that were ordered after the first.
    rotations: u64,
    max_bytes: Option<u64>,
    /// The thread must end soon: it no longer waits for space on the disk.
    hurry: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), Error>>,
}

impl Recorder {
    /// Creates the file with its header, and starts the thread. `notify` is called when the disk is full.
    ///
    /// # Errors
    /// [`enum@Error`].
    pub(crate) fn start(target: &Target, header: &Header, notify: Arc<disk::Notify>) -> Result<Self, Error> {
        let key = target.anonymize.then(random_key).transpose();
        let key = key.map_err(|source| Error::Io { path: target.path.clone(), source })?;
        let anonymizer = key.map(Anonymizer::new);
        let header = anonymizer.as_ref().map_or_else(|| header.clone(), |key| key.header(header));
        // Does not wait for space: without the beginning of the file, the trace is of no use.
        let hurry = Arc::new(AtomicBool::new(true));
        let mut files = Files::create(target, &header, Arc::clone(&hurry), notify)?;
        hurry.store(false, Ordering::Relaxed);
        let progress = Arc::new(Progress::default());
        let (orders, queue) = sync_channel(QUEUE);
        let theirs = Arc::clone(&progress);
        let path = target.path.clone();
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || write(&mut files, &queue, &theirs))
            .map_err(|source| Error::Io { path: path.clone(), source })?;
        Ok(Self {
            path,
            frame: Vec::with_capacity(FULL),
            anonymizer,
            orders,
            waiting: VecDeque::new(),
            gone: false,
            progress,
            rotations: 0,
            max_bytes: target.max_bytes,
            hurry,
            thread,
        })
    }

    /// Whether the recorder can take more.
    pub(crate) fn capacity(&mut self) -> Capacity {
        while !self.gone
            && let Some(order) = self.waiting.pop_front()
        {
            match self.orders.try_send(order) {
                Ok(()) => {}
                Err(TrySendError::Full(order)) => {
                    self.waiting.push_front(order);
                    return Capacity::Full;
                }
                Err(TrySendError::Disconnected(_)) => self.gone = true,
            }
        }
        if self.gone { Capacity::Gone } else { Capacity::Free }
    }

    /// Records an input. It never refuses one: a caller that bounds memory checks [`Self::capacity`] first.
    pub(crate) fn put(&mut self, input: &Input<'_>) {
        let Self { frame, anonymizer, .. } = self;
        match anonymizer {
            Some(anonymizer) => anonymizer.input(input, |input| put(input, frame)),
            None => put(input, frame),
        }
        if self.frame.len() >= FULL {
            self.send();
        }
    }

    /// Sends all inputs so far to the thread, so that a kill does not lose them.
    pub(crate) fn flush(&mut self) {
        // While other frames wait, this one may grow until it is full.
        if self.capacity() == Capacity::Free && !self.frame.is_empty() {
            self.send();
        }
    }

    fn send(&mut self) {
        let frame = std::mem::replace(&mut self.frame, Vec::with_capacity(FULL));
        self.waiting.push_back(Order::Frame(frame));
        self.capacity();
    }

    /// Whether it is time for another file.
    pub(crate) fn is_full(&self) -> bool {
        let Progress { bytes, rotations } = &*self.progress;
        // Until the thread has begun the file that was ordered last, the bytes are those of the file before it.
        rotations.load(Ordering::Acquire) == self.rotations
            && self.max_bytes.is_some_and(|max_bytes| bytes.load(Ordering::Relaxed) >= max_bytes)
    }

    /// Goes on in another file, which must be readable without this one.
    pub(crate) fn rotate(&mut self, header: &Header) {
        self.send();
        let header = self.anonymizer.as_ref().map_or_else(|| header.clone(), |key| key.header(header));
        self.rotations += 1;
        self.waiting.push_back(Order::Rotate(Box::new(header)));
        self.capacity();
    }

    /// Writes the rest, and ends.
    ///
    /// # Errors
    /// A part of the capture could not be written.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.hurry.store(true, Ordering::Relaxed);
        let mut stall_timeout = StallTimeout::new(GRACE);
        self.send();
        while self.capacity() == Capacity::Full {
            wait(&mut stall_timeout, &self.progress).map_err(|source| self.failed(source))?;
        }
        let Self { path, orders, progress, thread, .. } = self;
        drop(orders);
        let failed = |source| Error::Io { path: path.clone(), source };
        while !thread.is_finished() {
            wait(&mut stall_timeout, &progress).map_err(failed)?;
        }
        thread.join().unwrap_or_else(|_| Err(failed(io::Error::other("the recorder panicked"))))
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }
}

/// Waits a moment for the thread.
///
/// # Errors
/// The thread has made no progress for too long.
fn wait(stall_timeout: &mut StallTimeout<(u64, u64)>, progress: &Progress) -> io::Result<()> {
    if stall_timeout.is_over(progress.so_far()) {
        return Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "it takes nothing; the end of the capture is missing",
        ));
    }
    sleep(Duration::from_millis(1));
    Ok(())
}

/// A random key. No other process has it, and this one forgets it with the recording.
fn random_key() -> io::Result<[u8; 16]> {
    let mut key = [0; 16];
    let count = getrandom(&mut key, GetRandomFlags::empty())?;
    // The kernel returns so few bytes at once (getrandom(2)).
    if count == key.len() { Ok(key) } else { Err(io::Error::other("the kernel has no random bits")) }
}

fn write(files: &mut Files, orders: &Receiver<Order>, progress: &Progress) -> Result<(), Error> {
    for order in orders {
        match order {
            Order::Frame(raw) if raw.is_empty() => {}
            Order::Frame(raw) => files.write(&encode(&raw).map_err(|error| files.failed(error))?)?,
            Order::Rotate(header) => {
                files.rotate(&header)?;
                progress.bytes.store(files.bytes(), Ordering::Relaxed);
                progress.rotations.fetch_add(1, Ordering::Release);
            }
        }
        progress.bytes.store(files.bytes(), Ordering::Relaxed);
    }
    Ok(())
}
