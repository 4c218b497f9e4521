//! A session: a running trace, of this host or of a capture, in a program's hands.
//!
//! [`Session::live`] and [`Session::replay`] make a [`Plan`]. [`Plan::start`] starts it on threads of its own. Records
//! go to [subscribers](Plan::subscribe), or as bytes to an [output](Plan::output). A session installs no signal
//! handler, builds no runtime, sets no priority and prints nothing. Messages for people are [notices](Notice).
//!
//! ```no_run
//! use tcptrace::session::{Interest, OnFull, Record, Session, Settings};
//!
//! let mut plan = Session::live(Settings::default());
//! let records = plan.subscribe("ends", Interest::CONNECTIONS, OnFull::Count);
//! let session = plan.start()?;
//! for record in records.take(10) {
//!     if let Record::Transition(end) = record {
//!         println!("{:?}", end.closing);
//!     }
//! }
//! session.handle().stop();
//! let outcome = session.join()?;
//! assert_eq!(outcome.summary.lost.total(), 0);
//! # Ok::<(), tcptrace::session::Error>(())
//! ```

mod dump_schedule;
mod entrance;
mod event_loop;
mod facts;
mod handle;
mod identities;
mod live;
mod log;
mod namespaces;
mod notice;
mod overload;
mod plan;
mod poll_interval;
mod polls;
mod reader;
mod replay;
mod resolver;
mod scan_schedule;
mod scanner;
mod settings;
mod subscription;
mod watch;
mod writer;

use std::{
    io::{self, Read},
    thread::JoinHandle,
};

use tcptrace_core::{
    capture::{self, Damage, Reader},
    diagnosis::Detection,
    model::{header::Header, stats::SubscriberAccount, summary::Summary},
};
use thiserror::Error;

use crate::bpf;

pub use crate::sys::disk::DiskNotice;
pub use handle::Handle;
pub use notice::Notice;
pub use overload::DEFAULT_MAX_RATE;
pub use plan::{Plan, SessionThread};
pub(crate) use replay::{replay_here, replay_notices};
pub use settings::{HalfOpenBy, Settings};
pub use subscription::{OnFull, QUEUE, Records};
pub use tcptrace_core::{
    model::record::Record,
    pipeline::{Extent, Interest},
};
pub use writer::Ending;

/// A running trace. When it is dropped, it is stopped, and the drop waits for its end.
pub struct Session {
    header: Header,
    handle: Handle,
    thread: Option<JoinHandle<Result<Outcome, Error>>>,
}

/// How a session ended.
pub struct Outcome {
    /// The account.
    pub summary: Summary,
    /// Findings of the detectors; `None` where none ran.
    pub detection: Option<Detection>,
    /// The account of each subscriber.
    pub subscribers: Vec<SubscriberAccount>,
    /// How the output ended.
    pub output: Ending,
    /// The reason why the recording is not complete, if it is not.
    pub recording: Result<(), capture::Error>,
    /// The reason why a replayed capture is not complete.
    pub damage: Option<Damage>,
}

/// The reason why a session cannot start, or go on.
#[derive(Debug, Error)]
pub enum Error {
    /// An error of the kernel side.
    #[error(transparent)]
    Bpf(#[from] bpf::Error),
    /// An error of the capture.
    #[error(transparent)]
    Capture(#[from] capture::Error),
    /// The output could not be written.
    #[error("writing the output")]
    Output(#[source] io::Error),
    /// A thread of the session panicked.
    #[error("a thread of the session panicked")]
    Panicked,
    /// Timers, threads or descriptors could not be set up.
    #[error("setting up")]
    Setup(#[source] io::Error),
    /// The plan has detectors behind a filter on states.
    #[error("detectors need every transition of a socket: leave out the filter on states, or the detectors")]
    StatesHidden,
}

impl Session {
    /// Plans a trace of this host. It needs root, or the capabilities that `tcptrace doctor` names.
    pub fn live(settings: Settings) -> Plan {
        Plan::live(settings)
    }

    /// Plans a trace from a capture, without any privilege. Settings about the kernel have no effect.
    pub fn replay<R: Read + Send + 'static>(settings: Settings, reader: Reader<R>) -> Plan {
        Plan::replay(settings, reader)
    }

    fn new(header: Header, handle: Handle, thread: JoinHandle<Result<Outcome, Error>>) -> Self {
        Self { header, handle, thread: Some(thread) }
    }

    /// Everything that is known of the trace before its first record: kernel, hooks, clock.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Sends requests to the session, from any thread.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits on this thread until the session has ended: by itself, or because a handle stopped it.
    ///
    /// # Errors
    /// [`enum@Error`]: it ended since it could not go on.
    pub fn join(mut self) -> Result<Outcome, Error> {
        // There is a thread until the session is dropped.
        let outcome = self.thread.take().and_then(|thread| thread.join().ok());
        outcome.unwrap_or(Err(Error::Panicked))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.handle.stop();
            let _ = thread.join();
        }
    }
}
