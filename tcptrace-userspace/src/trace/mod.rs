//! The tracing session: attach, drain, track, hand to the writer, and account for all of it at the end.

mod account;
mod reader;
mod summary;
mod writer;

use std::{
    io::{self, Write as _},
    os::fd::AsFd as _,
    time::Duration,
};

use thiserror::Error;
use tokio::{
    io::Interest,
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{
    bpf,
    clock::{Clock, monotonic_ns},
    record::{Record, Summary},
    sink::{self, Format, Style, TimeColumn},
    tracker::Tracker,
};

use reader::{Reader, Step};
use writer::Writer;

/// How often the ring is emptied. Short enough to feel live, long enough to cost an idle host nothing.
const DRAIN_EVERY: Duration = Duration::from_millis(20);
/// How often losses are looked for.
const CHECK_EVERY: Duration = Duration::from_millis(250);
/// How long a stalled output may hold up the end.
const GRACE: Duration = Duration::from_secs(2);

/// Everything that a trace needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The kernel side.
    pub bpf: bpf::Options,
    /// Output format.
    pub format: Format,
    /// Time column.
    pub time: TimeColumn,
    /// Colour.
    pub colour: bool,
    /// Stop after this time.
    pub duration: Option<Duration>,
    /// Stop after this many transitions.
    pub count: Option<u64>,
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
/// [`Error`].
pub fn run(settings: &Settings) -> Result<Outcome, Error> {
    let zone = jiff::tz::TimeZone::system();
    let clock = Clock::calibrate();
    let tracer = bpf::load(&settings.bpf)?;
    let start_ns = monotonic_ns();
    let style = Style {
        format: settings.format,
        time: settings.time,
        colour: settings.colour,
        clock,
        zone,
        start_ns,
    };
    // Nothing follows the header when transitions are only counted.
    let header = !settings.bpf.count_only;
    let writer = Writer::start(sink::sink(style), io::stdout(), header).map_err(Error::Setup)?;
    announce(&tracer);

    let tracker = Tracker::new(
        usize::try_from(settings.bpf.max_connections).unwrap_or(usize::MAX),
        settings.bpf.lports.clone(),
        settings.bpf.filter.by_state(),
    );
    let mut reader = Reader::new(tracer, tracker, writer, settings.count);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Setup)?;
    let output_closed = runtime.block_on(pump(&mut reader, settings.duration))? == End::OutputClosed;

    let (summary, output) = reader.finish(start_ns, settings.bpf.count_only, GRACE)?;
    match output {
        _ if output_closed => return Ok(Outcome::OutputClosed),
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

/// Tells on standard error that tracing has begun: scripts wait for it.
fn announce(tracer: &bpf::Tracer) {
    let _ = writeln!(
        io::stderr(),
        "Tracing TCP state transitions ({}, ring buffer {} KiB). Ctrl-C to end.",
        tracer.hook(),
        tracer.ring_bytes() >> 10
    );
}

/// Drains on a timer, and earlier when the kernel side says that the ring fills up.
async fn pump(reader: &mut Reader, duration: Option<Duration>) -> Result<End, Error> {
    let ring = reader.wakeups().map_err(Error::Setup)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Setup)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Setup)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(Error::Setup)?;
    let mut drain = interval(DRAIN_EVERY);
    drain.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut check = interval(CHECK_EVERY);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Not given means never; a year would do as well.
    let end = sleep(duration.unwrap_or(Duration::MAX));
    let closed = output_closed();
    tokio::pin!(end, closed);
    loop {
        let step = tokio::select! {
            _ = interrupt.recv() => return Ok(End::Asked),
            _ = terminate.recv() => return Ok(End::Asked),
            _ = hangup.recv() => return Ok(End::Asked),
            () = &mut end => return Ok(End::Asked),
            () = &mut closed => return Ok(End::OutputClosed),
            _ = check.tick() => reader.check()?,
            _ = drain.tick() => reader.drain(),
            woken = ring.readable() => {
                woken.map_err(Error::Setup)?.clear_ready();
                reader.drain()
            }
        };
        if step == Step::Stop {
            return Ok(End::Asked);
        }
    }
}

/// Why the loop ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// By signal, time or count, or since the writer ended.
    Asked,
    /// The reader of our output went away.
    OutputClosed,
}

/// Resolves when the reader of our output goes away, which without anything to write would not show. Never for
/// files and terminals, which cannot be waited for or do not go away.
async fn output_closed() {
    if let Ok(output) = io::stdout().as_fd().try_clone_to_owned()
        && let Ok(output) = bpf::waitable(output, Interest::ERROR)
        && output.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// How many transitions a batch holds: what the reader hands to the writer at once.
type Batch = Vec<Record>;
