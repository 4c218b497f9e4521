//! The tracing session: attach, drain, track, hand to the writer, and account for all of it at the end.

mod account;
mod announce;
mod answers;
mod core;
mod half_open;
mod half_open_summary;
mod identities;
mod input;
mod lister;
mod listing;
mod lists;
mod log;
mod looks;
mod order;
mod outgoing;
mod polls;
mod pump;
mod reader;
mod replay;
mod stage;
mod summary;
mod writer;

use std::{io, path::Path, time::Duration};

use thiserror::Error;
use tokio::sync::Notify;

use crate::{
    bpf::{self, Feature},
    capture::{self, Before, Header, Reader},
    clock::{Clock, monotonic_ns},
    half_open::Namespaces,
    host,
    record::{Record, Summary},
    sink::{self, Format, Sink, Style, TimeColumn, View},
    snapshot::Netns,
    tracker::Hidden,
    wanted::Wanted,
};

pub(crate) use input::{Answer, Counted, Input};
pub(crate) use looks::Looked;
pub use replay::Replayed;

use answers::{Answers, Live};
use core::Core;
use identities::Identities;
use lists::Lists;
use log::Log;
use looks::Looks;
use polls::Polls;
use pump::{End, Signals};
use reader::Beside;
use writer::Writer;

/// How long an output that takes nothing may hold up the end.
const GRACE: Duration = Duration::from_secs(2);

/// Everything that a trace needs to know.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
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
    /// Look at all sockets so often.
    pub looks: Option<Duration>,
    /// Put these looks among the records.
    pub samples: bool,
    /// Record the trace.
    pub record: Option<capture::Target>,
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

/// Every transition, for people, until someone ends it.
impl Default for Settings {
    fn default() -> Self {
        Self {
            bpf: bpf::Options::default(),
            infer: false,
            snapshot: true,
            netns: None,
            half_open: None,
            looks: None,
            samples: false,
            record: None,
            format: Format::Text,
            view: View::Transitions,
            time: TimeColumn::Millis,
            colour: false,
            duration: None,
            count: None,
        }
    }
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
        let sink = wrap(sink::sink(&style(settings, header)));
        // Nothing follows the header when transitions are only counted.
        Writer::start(sink, io::stdout(), !settings.bpf.count_only)
    };
    let begun = |tracer: &bpf::Tracer, _: &Header| announce::begun(settings, tracer);
    let (end, summary, output) = session(settings, destination, begun, &Notify::new())?;
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

/// Traces into a capture only, until a signal or the duration ends it; the account goes to standard error.
///
/// # Errors
/// [`enum@Error`].
pub fn record(settings: &Settings) -> Result<Summary, Error> {
    let begun = |tracer: &bpf::Tracer, _: &Header| announce::recording(settings, tracer);
    let summary = watch(settings, Box::new(Nowhere), begun, &Notify::new())?;
    summary::print(&summary, false);
    Ok(summary)
}

/// Replays a capture as [`run`] would have shown the trace.
///
/// # Errors
/// [`enum@Error`].
pub fn rerun(
    path: &Path,
    settings: &Settings,
    wrap: impl FnOnce(Box<dyn Sink>) -> Box<dyn Sink>,
) -> Result<Outcome, Error> {
    let sink = |header: &Header| wrap(sink::sink(&style(settings, header)));
    let replayed = replay::replay(Reader::open(path)?, settings, sink, &mut io::stdout().lock())?;
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

/// Traces into `sink`, which keeps what it needs, until a signal, the duration or `stop` ends it. `begun` is called once
/// the kernel side is attached. Returns the account.
///
/// # Errors
/// [`enum@Error`].
pub(crate) fn watch(
    settings: &Settings,
    sink: Box<dyn Sink>,
    begun: impl FnOnce(&bpf::Tracer, &Header),
    stop: &Notify,
) -> Result<Summary, Error> {
    let destination = |_: &Header| Writer::start(sink, io::sink(), false);
    session(settings, destination, begun, stop).map(|(_, summary, _)| summary)
}

/// Replays a capture into `sink`.
///
/// # Errors
/// [`enum@Error`].
pub(crate) fn rewatch(path: &Path, settings: &Settings, sink: Box<dyn Sink>) -> Result<Replayed, Error> {
    replay::replay(Reader::open(path)?, settings, |_| sink, &mut io::sink())
}

/// Takes records and leaves nothing of them.
struct Nowhere;

impl Sink for Nowhere {
    fn header(&mut self, _out: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    fn write(&mut self, _record: &Record, _out: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }
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

/// A trace from beginning to end. `destination` makes the writer.
fn session(
    settings: &Settings,
    destination: impl FnOnce(&Header) -> io::Result<Writer>,
    begun: impl FnOnce(&bpf::Tracer, &Header),
    stop: &Notify,
) -> Result<(End, Summary, writer::Ending), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Setup)?;
    // From here on, signals end the trace with its account, also one that comes while it begins.
    let signals = Signals::install(&runtime).map_err(Error::Setup)?;
    let clock = Clock::calibrate();
    let tracer = bpf::load(&settings.bpf)?;
    let header = header(settings, &tracer, clock, monotonic_ns());
    let log = Log::start(settings.record.as_ref(), &header)?;
    let writer = destination(&header).map_err(Error::Setup)?;
    let follows = settings.half_open.is_some();
    let live = Live {
        // People's short format has no room for it.
        identities: (settings.format != Format::Text || log.is_on()).then(Identities::new),
        namespaces: follows.then(|| Namespaces::new(settings.netns.clone(), monotonic_ns())),
    };
    let polls = (follows && !settings.bpf.count_only).then(|| Polls::start(settings, &tracer)).transpose();
    let polls = polls.map_err(Error::Setup)?;
    begun(&tracer, &header);

    let core = Core::of(settings, &header, Answers::live(live, log.is_on()), None);
    let (wanted, netns) = (|| Wanted::of(&settings.bpf), || settings.netns.clone());
    let lists = settings.snapshot && !settings.bpf.count_only;
    let lists = lists.then(|| Lists::start(wanted(), netns())).transpose().map_err(Error::Setup)?;
    let looks = settings.looks.map(|period| Looks::start(wanted(), netns(), period));
    let looks = looks.transpose().map_err(Error::Setup)?;
    let mut reader = reader::Reader::new(tracer, core, log, writer, Beside { lists, polls, looks });
    let end = runtime.block_on(pump::pump(&mut reader, signals, settings.duration, stop))?;
    let (summary, output) = reader.finish(header.start_ns, GRACE)?;
    Ok((end, summary, output))
}

/// What there is to know of a trace before its first record.
fn header(settings: &Settings, tracer: &bpf::Tracer, clock: Clock, start_ns: u64) -> Header {
    let features = tracer.features();
    Header {
        tool: concat!("tcptrace ", env!("CARGO_PKG_VERSION")).to_owned(),
        host: host::name(),
        kernel: host::kernel(),
        little_endian: cfg!(target_endian = "little"),
        clock,
        start_ns,
        hook: tracer.hook(),
        half_open: tracer.half_open().cloned(),
        polled: settings.half_open.is_some(),
        cookies: features.has(Feature::CookieHelper) || features.has(Feature::CookieField),
        retransmits: features.has(Feature::Retransmits),
        reset_reasons: tracer.reset_reasons().clone(),
        hidden: Hidden::by(&Wanted::of(&settings.bpf)),
        netns: settings.bpf.filter.netns,
        tgid: settings.bpf.filter.tgid,
        before: Before::default(),
    }
}

/// What the reader hands to the writer at once.
type Batch = Vec<Record>;

/// Records a batch. Small enough to keep the writer busy while the next one fills.
const BATCH: usize = 512;
