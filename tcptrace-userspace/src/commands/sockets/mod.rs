//! `tcptrace sockets`: the TCP sockets of this moment, filtered, with their owners, as a table or counted by group.

mod replay;
mod round;

use std::{io, path::Path, time::Duration};

use tcptrace_core::{
    capture,
    model::{scan::By, socket_filter::SocketFilter},
    output::Format,
};
use thiserror::Error;

pub(crate) use replay::last_scan;

use crate::scan::snapshot::{Netns, SnapshotError};

/// The sockets to show, and the form of the output.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The sockets to show.
    pub wanted: SocketFilter,
    /// One network namespace only.
    pub netns: Option<Netns>,
    /// Show counts by this key instead of the sockets themselves.
    pub by: Option<By>,
    /// Output format.
    pub format: Format,
    /// Colour in text and wide.
    pub colour: bool,
    /// Scan again at this interval.
    pub watch: Option<Duration>,
}

/// The outcome of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was seen.
    Complete,
    /// Something could not be seen; standard error names it.
    Gaps,
    /// The reader of our output went away.
    OutputClosed,
}

/// The reason why the command failed.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// An error of the capture.
    #[error(transparent)]
    Capture(#[from] capture::Error),
    /// The capture has no scan of the host's sockets.
    #[error("the capture has no scan of the host's sockets; `tcptrace record` makes one with")]
    NoScan,
    /// The scan in the capture had failed.
    #[error("the capture has no sockets: {0}")]
    Failed(String),
    /// The output could not be written.
    #[error("writing the output")]
    Output(#[source] io::Error),
    /// Signals and timers could not be set up.
    #[error("setting up")]
    Setup(#[source] io::Error),
}

/// Shows the last scan of a capture.
///
/// # Errors
/// [`enum@Error`].
pub fn replay(path: &Path, settings: &Settings) -> Result<Outcome, Error> {
    replay::show(path, settings)
}

/// Shows the sockets once, or until a signal ends it; the table on standard output, the sum on standard error.
///
/// # Errors
/// [`enum@Error`].
pub fn run(settings: &Settings) -> Result<Outcome, Error> {
    match settings.watch {
        None => round::show(settings),
        Some(period) => round::watch(settings, period),
    }
}
