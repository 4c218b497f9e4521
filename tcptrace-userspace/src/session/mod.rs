//! The tracing session: attach, drain, track, hand to the writer, and account for all of it at the end.

mod announce;
mod devices;
mod dump_schedule;
mod entrance;
mod event_loop;
mod facts;
mod half_open_summary;
mod identities;
mod live;
mod log;
mod namespaces;
mod overload;
mod poll_interval;
mod polls;
mod reader;
mod resolver;
mod scan_schedule;
mod scanner;
mod settings;
mod summary;
mod terms;
mod watch;
mod writer;

use std::{io, path::Path};

use tcptrace_core::{
    capture::{self, Reader, Replayed},
    diagnosis::Detection,
    model::{header::Header, summary::Summary},
    output::{self, Style},
    pipeline::Sink,
};
use thiserror::Error;
use tokio::sync::Notify;

use crate::bpf;

pub use overload::DEFAULT_MAX_RATE;
pub use settings::{HalfOpenBy, Settings};

use event_loop::End;
use live::session;
use reader::Finished;

/// How a trace ended.
#[derive(Debug)]
pub enum Outcome {
    /// By signal, time or count.
    Done(Box<Summary>),
    /// The reader of our output went away (`| head`).
    OutputClosed,
    /// A capture was not all there; standard error says what.
    Damaged,
}

/// Why a trace failed.
#[derive(Debug, Error)]
pub enum Error {
    /// The kernel side.
    #[error(transparent)]
    Bpf(#[from] bpf::Error),
    /// The capture.
    #[error(transparent)]
    Capture(#[from] capture::Error),
    /// The output.
    #[error("writing the output")]
    Output(#[source] io::Error),
    /// Signals, timers, threads.
    #[error("setting up")]
    Setup(#[source] io::Error),
}

/// Traces until a signal, the duration or the count ends it; output on standard output, the account on
/// standard error. `wrap` may put something before the sink.
///
/// # Errors
/// [`enum@Error`].
pub fn run(settings: &Settings, wrap: impl FnOnce(Box<dyn Sink>) -> Box<dyn Sink>) -> Result<Outcome, Error> {
    let destination = |header: &Header| {
        let sink = Some(wrap(output::sink(&style(settings, header))));
        // Nothing is printed when transitions are only counted.
        let prints = !settings.bpf.count_only;
        Destination { sink, output: Box::new(io::stdout()), header: prints, ends_with_reader: prints }
    };
    let begun = |tracer: &bpf::Tracer, _: &Header| announce::begun(settings, tracer);
    let (end, finished) = session(settings, destination, begun, &Notify::new())?;
    let Finished { summary, output, recording, .. } = finished;
    match output {
        _ if end == End::OutputClosed => return Ok(recording.map(|()| Outcome::OutputClosed)?),
        writer::Ending::Closed => return Ok(recording.map(|()| Outcome::OutputClosed)?),
        writer::Ending::Failed(error) => {
            summary::print(&summary, settings.bpf.count_only);
            return Err(Error::Output(error));
        }
        writer::Ending::Complete | writer::Ending::Stalled => {
            summary::print(&summary, settings.bpf.count_only);
        }
    }
    recording?;
    Ok(Outcome::Done(Box::new(summary)))
}

/// Traces into a capture only, until a signal or the duration ends it; the account goes to standard error.
///
/// # Errors
/// [`enum@Error`].
pub fn record(settings: &Settings) -> Result<Summary, Error> {
    let begun = |tracer: &bpf::Tracer, _: &Header| announce::recording(settings, tracer);
    let destination = |_: &Header| Destination::inside(None, false);
    let (_, Finished { summary, recording, .. }) = session(settings, destination, begun, &Notify::new())?;
    summary::print(&summary, false);
    recording?;
    Ok(summary)
}

/// Replays a capture as [`run`] would have shown the trace.
///
/// # Errors
/// [`enum@Error`].
pub fn replay(
    path: &Path,
    settings: &Settings,
    wrap: impl FnOnce(Box<dyn Sink>) -> Box<dyn Sink>,
) -> Result<Outcome, Error> {
    let replayed = replay_from(Reader::open(path)?, settings, wrap, &mut io::stdout().lock())?;
    if replayed.closed {
        return Ok(Outcome::OutputClosed);
    }
    summary::print(&replayed.summary, false);
    announce::replayed(settings, &replayed);
    if replayed.damage.is_some() {
        return Ok(Outcome::Damaged);
    }
    Ok(Outcome::Done(Box::new(replayed.summary)))
}

/// Replays what `reader` reads as [`run`] would have shown the trace; standard error stays empty.
///
/// # Errors
/// [`enum@Error`].
pub(crate) fn replay_from<R: io::Read>(
    reader: Reader<R>,
    settings: &Settings,
    wrap: impl FnOnce(Box<dyn Sink>) -> Box<dyn Sink>,
    output: &mut dyn io::Write,
) -> Result<Replayed, Error> {
    let sink = |header: &Header| Some(wrap(output::sink(&style(settings, header))));
    settings.replay(reader, sink, output)
}

/// Traces into `sink`, which keeps what it needs, until a signal, the duration or `stop` ends it. `begun` is called once
/// the kernel side is attached. Returns the account, and what was found.
///
/// # Errors
/// [`enum@Error`].
pub(crate) fn run_into(
    settings: &Settings,
    sink: Box<dyn Sink>,
    begun: impl FnOnce(&bpf::Tracer, &Header),
    stop: &Notify,
) -> Result<(Summary, Option<Detection>), Error> {
    // What becomes of it is to go to standard output.
    let destination = |_: &Header| Destination::inside(Some(sink), true);
    let (_, Finished { summary, detection, recording, .. }) = session(settings, destination, begun, stop)?;
    recording?;
    Ok((summary, detection))
}

fn style(settings: &Settings, header: &Header) -> Style {
    Style {
        format: settings.format,
        view: settings.view,
        time: settings.time,
        colour: settings.colour,
        clock: header.clock,
        zone: jiff::tz::TimeZone::system(),
        start_ns: header.start_ns,
    }
}

/// Where a live trace goes.
struct Destination {
    sink: Option<Box<dyn Sink>>,
    output: Box<dyn io::Write + Send>,
    /// What comes before the first record is wanted.
    header: bool,
    /// When nobody reads standard output any more, the trace has no use.
    ends_with_reader: bool,
}

impl Destination {
    /// A sink that keeps what it needs, if any.
    fn inside(sink: Option<Box<dyn Sink>>, ends_with_reader: bool) -> Self {
        Self { sink, output: Box::new(io::sink()), header: false, ends_with_reader }
    }
}
