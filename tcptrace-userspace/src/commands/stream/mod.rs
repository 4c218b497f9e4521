//! `tcptrace trace`, `life` and `record`: a session whose output is for people and files.

mod half_open_summary;
mod summary;
mod terms;
mod until;

use std::{
    io::{self, Write as _},
    path::Path,
};

use tcptrace_core::{
    capture::{Reader, Replayed},
    model::{header::Header, summary::Summary, view::View},
    output::{self, Format, Style, TimeColumn},
    pipeline::Sink,
};

use crate::{
    bpf::run_at_once,
    session::{self, Ending, Error, Extent, Notice, Outcome, Plan, Session, SessionThread},
    sys::priority,
};
use until::End;

pub(super) use until::{Signals, until_end};

/// Settings of a trace and of its output.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The trace.
    pub trace: session::Settings,
    /// Output format.
    pub format: Format,
    /// Time column.
    pub time: TimeColumn,
    /// Colour.
    pub colour: bool,
    /// Read the ring before others get the CPU.
    pub priority: Priority,
}

/// Who gets a CPU first where there are too few.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Priority {
    /// As other programs.
    #[default]
    Normal,
    /// Before other programs: nice -10.
    High,
}

/// The outcome of a trace that was shown.
#[derive(Debug)]
pub enum Shown {
    /// A signal, the time or the count ended it.
    Done(Box<Summary>),
    /// The reader of our output went away (`| head`).
    OutputClosed,
    /// A capture was incomplete; standard error says why.
    Damaged,
}

/// Traces until a signal, the duration or the count ends it; output on standard output, the account on standard error.
/// `wrap` may put something before the sink.
///
/// # Errors
/// [`enum@Error`].
pub fn run(
    settings: &Settings,
    wrap: impl FnOnce(Box<dyn Sink>) -> Box<dyn Sink> + Send + 'static,
) -> Result<Shown, Error> {
    // Installed before the session starts: a signal that comes meanwhile ends it with its account, too.
    let signals = Signals::install()?;
    let counts_only = settings.trace.bpf.count_only;
    let view = settings.trace.view;
    let plan = Session::live(identifying(settings)).notices(move |notice| notify(&notice, Some(view)));
    let plan = shown(with_priority(plan, settings.priority), settings, wrap);
    let (end, outcome) = until_end(plan.start()?, signals, !counts_only)?;
    let Outcome { summary, output, recording, .. } = outcome;
    match output {
        _ if end == End::OutputClosed => return Ok(recording.map(|()| Shown::OutputClosed)?),
        Ending::Closed => return Ok(recording.map(|()| Shown::OutputClosed)?),
        Ending::Failed(error) => {
            summary::print(&summary, counts_only);
            return Err(Error::Output(error));
        }
        Ending::Complete | Ending::Stalled => summary::print(&summary, counts_only),
    }
    recording?;
    Ok(Shown::Done(Box::new(summary)))
}

/// Traces into a capture only, until a signal or the duration ends it; the account goes to standard error.
///
/// # Errors
/// [`enum@Error`].
pub fn record(settings: &Settings) -> Result<Summary, Error> {
    let signals = Signals::install()?;
    let plan = Session::live(settings.trace.clone()).notices(|notice| notify(&notice, None));
    let (_, outcome) = until_end(with_priority(plan, settings.priority).start()?, signals, false)?;
    summary::print(&outcome.summary, false);
    outcome.recording?;
    Ok(outcome.summary)
}

/// Replays a capture as [`run`] would have shown the trace.
///
/// # Errors
/// [`enum@Error`].
pub fn replay(
    path: &Path,
    settings: &Settings,
    wrap: impl FnOnce(Box<dyn Sink>) -> Box<dyn Sink>,
) -> Result<Shown, Error> {
    let replayed = replay_from(Reader::open(path)?, settings, wrap, &mut io::stdout().lock())?;
    if replayed.closed {
        return Ok(Shown::OutputClosed);
    }
    summary::print(&replayed.summary, false);
    for notice in session::replay_notices(&settings.trace, &replayed) {
        notify(&notice, Some(settings.trace.view));
    }
    if replayed.damage.is_some() {
        return Ok(Shown::Damaged);
    }
    Ok(Shown::Done(Box::new(replayed.summary)))
}

/// Replays a capture as [`run`] would have shown the trace; standard error stays empty.
///
/// # Errors
/// [`enum@Error`].
pub(crate) fn replay_from<R: io::Read>(
    reader: Reader<R>,
    settings: &Settings,
    wrap: impl FnOnce(Box<dyn Sink>) -> Box<dyn Sink>,
    output: &mut dyn io::Write,
) -> Result<Replayed, Error> {
    let sink = |header: &Header| Some(wrap(output::sink(&settings.style(header))));
    session::replay_here(&settings.trace, reader, sink, output)
}

/// The plan with its output on standard output.
fn shown(
    plan: Plan,
    settings: &Settings,
    wrap: impl FnOnce(Box<dyn Sink>) -> Box<dyn Sink> + Send + 'static,
) -> Plan {
    let settings = settings.clone();
    plan.output(move |header| wrap(output::sink(&settings.style(header))), Box::new(io::stdout()))
}

/// The plan with the reader of the ring at this priority. The thread that reads newcomers always runs at once, where it
/// may: if it waited for its turn, commands that end quickly would have no name.
pub(super) fn with_priority(plan: Plan, priority: Priority) -> Plan {
    plan.at_start(move |thread| match (thread, priority) {
        (SessionThread::Newcomers, _) => {
            run_at_once();
        }
        (SessionThread::Ring, Priority::High) => priority::raise(),
        (SessionThread::Ring, Priority::Normal) => {}
    })
}

/// The trace's settings with the extent of identification. Short text shows only names of processes. Findings and
/// captures need the whole identity.
fn identifying(settings: &Settings) -> session::Settings {
    let trace = settings.trace.clone();
    let names = settings.format == Format::Text && trace.detect.is_none() && trace.record.is_none();
    session::Settings { identify: if names { Extent::Names } else { Extent::All }, ..trace }
}

/// Prints a notice on standard error; `shown` is the view of the output, if there is one. Scripts wait for the line
/// that says that tracing has begun.
pub(super) fn notify(notice: &Notice, shown: Option<View>) {
    let mut stderr = io::stderr();
    let _ = match notice {
        Notice::Begun { hook, ring_bytes, recording } => {
            let what = match (shown, recording) {
                (None, Some(path)) => format!("Recording to {}", path.display()),
                (None | Some(View::Transitions), _) => "Tracing TCP state transitions".to_owned(),
                (Some(View::Connections), _) => {
                    "Tracing TCP connections, each reported when it has ended".to_owned()
                }
            };
            writeln!(stderr, "{what} ({hook}, ring buffer {} KiB). Ctrl-C to end.", ring_bytes >> 10)
        }
        notice => writeln!(stderr, "tcptrace: {notice}"),
    };
}

impl Settings {
    fn style(&self, header: &Header) -> Style {
        Style {
            format: self.format,
            view: self.trace.view,
            time: self.time,
            colour: self.colour,
            clock: header.clock,
            zone: jiff::tz::TimeZone::system(),
            start_ns: header.start_ns,
        }
    }
}
