//! The tracing session: attach, drain, track, hand to the writer, and account for all of it at the end.

mod account;
mod half_open;
mod half_open_summary;
mod identities;
mod lister;
mod listing;
mod lists;
mod order;
mod outgoing;
mod pump;
mod reader;
mod stage;
mod summary;
mod writer;

use std::{
    io::{self, Write as _},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use thiserror::Error;
use tokio::sync::Notify;

use crate::{
    bpf::{self, Feature},
    clock::{Clock, monotonic_ns},
    record::{Record, Summary},
    sink::{self, Format, Sink, Style, TimeColumn, View},
    snapshot::Netns,
    text::Escaped,
    tracker::{self, Tracker},
    wanted::Wanted,
};

use identities::Identities;
use lists::Lists;
use outgoing::Outgoing;
use pump::{End, Signals};
use reader::Reader;
use writer::Writer;

/// How long an output that takes nothing may hold up the end.
const GRACE: Duration = Duration::from_secs(2);

/// Everything that a trace needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The kernel side.
    pub bpf: bpf::Options,
    /// Tell what follows from the kernel's events beside the events themselves.
    pub infer: bool,
    /// List the sockets that are older than the trace.
    pub snapshot: bool,
    /// The namespace that the filter wants, with the way into it.
    pub netns: Option<Netns>,
    /// Follow half-open connections, and by what.
    pub half_open: Option<HalfOpenBy>,
    /// Output format.
    pub format: Format,
    /// What becomes a line.
    pub view: View,
    /// Time column.
    pub time: TimeColumn,
    /// Colour.
    pub colour: bool,
    /// Stop after this time.
    pub duration: Option<Duration>,
    /// Stop after this many lines.
    pub count: Option<u64>,
}

/// How to follow half-open connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum HalfOpenBy {
    /// Each SYN and each SYN-ACK that is sent again, as far as the kernel lets; and polls for what these do not tell.
    Events,
    /// A poll a second, which costs nothing per SYN and misses what is shorter.
    Poll,
}

/// How a trace ended.
#[derive(Debug)]
pub enum Outcome {
    /// By signal, time or count.
    Done(Box<Summary>),
    /// The reader of our output went away (`| head`).
    OutputClosed,
}

/// Why a trace failed.
#[derive(Debug, Error)]
pub enum Error {
    /// The kernel side.
    #[error(transparent)]
    Bpf(#[from] bpf::Error),
    /// The output.
    #[error("writing the output")]
    Output(#[source] io::Error),
    /// Signals, timers, threads.
    #[error("setting up")]
    Setup(#[source] io::Error),
}

/// Traces until a signal, the duration or the count ends it; output on standard output, the account on
/// standard error.
///
/// # Errors
/// [`enum@Error`].
pub fn run(settings: &Settings) -> Result<Outcome, Error> {
    run_beside(settings, |sink| sink, |_| {}, channel().1)
}

/// The same, with something beside it: `wrap` may put something before the sink, `begun` is called once the kernel side is
/// attached, and `others` are records from elsewhere, which are written among those of the trace.
///
/// # Errors
/// [`enum@Error`].
pub fn run_beside(
    settings: &Settings,
    wrap: impl FnOnce(Box<dyn Sink>) -> Box<dyn Sink>,
    begun: impl FnOnce(&bpf::Tracer),
    others: Receiver<Record>,
) -> Result<Outcome, Error> {
    let destination = |clock, start_ns| {
        let style = Style {
            format: settings.format,
            view: settings.view,
            time: settings.time,
            colour: settings.colour,
            clock,
            zone: jiff::tz::TimeZone::system(),
            start_ns,
        };
        // Nothing follows the header when transitions are only counted.
        Writer::start(wrap(sink::sink(&style)), io::stdout(), !settings.bpf.count_only)
    };
    let begun = |tracer: &bpf::Tracer| {
        begun(tracer);
        if let Some(by) = settings.half_open {
            announce_half_open(tracer, by);
        }
        announce(tracer, settings.view);
    };
    let (end, summary, output) = session(settings, destination, begun, (&Notify::new(), others))?;
    match output {
        _ if end == End::OutputClosed => return Ok(Outcome::OutputClosed),
        writer::Ending::Closed => return Ok(Outcome::OutputClosed),
        writer::Ending::Failed(error) => {
            summary::print(&summary, settings.bpf.count_only);
            return Err(Error::Output(error));
        }
        writer::Ending::Complete | writer::Ending::Stalled => {
            summary::print(&summary, settings.bpf.count_only);
        }
    }
    Ok(Outcome::Done(Box::new(summary)))
}

/// Traces into `sink`, which keeps what it needs, until a signal, the duration or `stop` ends it. `begun` is called once
/// the kernel side is attached. Returns the account.
///
/// # Errors
/// [`enum@Error`].
pub fn watch(
    settings: &Settings,
    sink: Box<dyn Sink>,
    begun: impl FnOnce(&bpf::Tracer),
    stop: &Notify,
) -> Result<Summary, Error> {
    let destination = |_, _| Writer::start(sink, io::sink(), false);
    session(settings, destination, begun, (stop, channel().1)).map(|(_, summary, _)| summary)
}

/// A trace from beginning to end. `destination` makes the writer, from the clock and the time of the beginning.
fn session(
    settings: &Settings,
    destination: impl FnOnce(Clock, u64) -> io::Result<Writer>,
    begun: impl FnOnce(&bpf::Tracer),
    (stop, others): (&Notify, Receiver<Record>),
) -> Result<(End, Summary, writer::Ending), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Setup)?;
    // From here on, signals end the trace with its account, also one that comes while it begins.
    let signals = Signals::install(&runtime).map_err(Error::Setup)?;
    let clock = Clock::calibrate();
    let tracer = bpf::load(&settings.bpf)?;
    let start_ns = monotonic_ns();
    let writer = destination(clock, start_ns).map_err(Error::Setup)?;
    let half_open = settings.half_open.map(|_| half_open::Side::start(settings, &tracer)).transpose();
    let half_open = half_open.map_err(Error::Setup)?;
    begun(&tracer);

    let features = tracer.features();
    let tracker = Tracker::new(tracker::Options {
        limit: usize::try_from(settings.bpf.max_connections).unwrap_or(usize::MAX),
        lports: settings.bpf.lports.clone(),
        filter: settings.bpf.filter,
        reset_reasons: tracer.reset_reasons().clone(),
        retransmits: features.has(Feature::Retransmits),
        infer: settings.infer,
        cookies: features.has(Feature::CookieHelper) || features.has(Feature::CookieField),
    });
    let lists = if settings.snapshot && !settings.bpf.count_only {
        Some(Lists::start(Wanted::of(&settings.bpf), settings.netns.clone()).map_err(Error::Setup)?)
    } else {
        None
    };
    // People's short format has no room for it.
    let identities = (settings.format != Format::Text).then(Identities::new);
    let outgoing = Outgoing::new(settings.view, settings.count);
    let beside = (lists, identities, half_open, others);
    let mut reader = Reader::new(tracer, tracker, writer, outgoing, beside);
    let end = runtime.block_on(pump::pump(&mut reader, signals, settings.duration, stop))?;
    let (summary, output) = reader.finish(start_ns, settings.bpf.count_only, GRACE)?;
    Ok((end, summary, output))
}

/// Tells on standard error that tracing has begun: scripts wait for it.
fn announce(tracer: &bpf::Tracer, view: View) {
    let what = match view {
        View::Transitions => "TCP state transitions",
        View::Connections => "TCP connections, each told when it has ended",
    };
    let _ = writeln!(
        io::stderr(),
        "Tracing {what} ({}, ring buffer {} KiB). Ctrl-C to end.",
        tracer.hook(),
        tracer.ring_bytes() >> 10
    );
    if let Some(why) = tracer.unowned() {
        let why = Escaped(why.as_bytes());
        let _ = writeln!(
            io::stderr(),
            "tcptrace: note: sockets that the process had before are seen once it acts on them: {why}"
        );
    }
}

/// Tells on standard error what of half-open connections cannot be seen at once.
fn announce_half_open(tracer: &bpf::Tracer, by: HalfOpenBy) {
    let Some(hooks) = tracer.half_open().filter(|_| by == HalfOpenBy::Events) else { return };
    let notes = [
        hooks.syns.as_ref().err().map(|why| format!("no SYN is seen, a poll a second has to do ({why})")),
        hooks.syns.as_ref().ok().filter(|syns| !syns.whole_host).map(|_| {
            "SYNs are seen of the cgroups that this process can see; a poll a second finds the others"
                .to_owned()
        }),
        hooks.retransmits.as_ref().err().map(|why| format!("no SYN-ACK is seen that is sent again ({why})")),
    ];
    for note in notes.into_iter().flatten() {
        let _ = writeln!(io::stderr(), "tcptrace: note: half-open connections: {}", Escaped(note.as_bytes()));
    }
}

/// What the reader hands to the writer at once.
type Batch = Vec<Record>;

/// Records a batch. Small enough to keep the writer busy while the next one fills.
const BATCH: usize = 512;
