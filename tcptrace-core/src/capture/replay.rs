//! Replays a trace from a capture.

use std::{
    io::{self, Read},
    ops::ControlFlow,
    time::Duration,
};

use super::{Damage, Reader};
use crate::{
    diagnosis::Detection,
    model::{
        header::{Before, Header},
        input::{Checked, Ended, Input},
        record::Record,
        stats::SubscriberAccount,
        summary::Summary,
    },
    pipeline::{Chunk, Core, Options, Outgoing, ResolverCache, Sink, Tail},
};

/// Maximum memory of the records that wait for their turn, and of the data that orders them, in bytes. At most one full ring
/// waited in the recorder, and no record of a kernel is smaller than its place there. Tests have less memory.
pub const MOST_WAITING: u64 = if cfg!(test) { 1 << 20 } else { 2 << 30 };

/// How a replay ended.
pub struct Replayed {
    /// The account of the trace.
    pub summary: Summary,
    /// The findings.
    pub detection: Option<Detection>,
    /// Why the capture ends early; `None` when all of it is there.
    pub damage: Option<Damage>,
    /// The header of the capture.
    pub header: Header,
    /// The reader of the output has gone.
    pub closed: bool,
    /// The account of each subscriber.
    pub subscribers: Vec<SubscriberAccount>,
}

/// Replays a capture, or the first `duration` of it, into the sink that `sink` makes, if any. `output` gets the bytes.
///
/// # Errors
/// The output cannot be written. Where only the reader of the output has gone, [`Replayed::closed`] is true. Damage of the
/// capture is in [`Replayed::damage`].
pub fn replay<R: Read>(
    reader: Reader<R>,
    options: Options,
    duration: Option<Duration>,
    sink: impl FnOnce(&Header) -> Option<Box<dyn Sink>>,
    output: &mut dyn io::Write,
) -> io::Result<Replayed> {
    Replay::new(reader, options, duration, sink).run(output, |_| ControlFlow::Continue(()))
}

/// A replay that has not begun.
pub struct Replay<R> {
    reader: Reader<R>,
    core: Core,
    header: Header,
    /// The time after which no input is taken, nanoseconds of `CLOCK_MONOTONIC`.
    end_ns: Option<u64>,
}

impl<R: Read> Replay<R> {
    /// Makes a replay of a capture, or of the first `duration` of it, into the sink that `sink` makes, if any.
    pub fn new(
        reader: Reader<R>,
        options: Options,
        duration: Option<Duration>,
        sink: impl FnOnce(&Header) -> Option<Box<dyn Sink>>,
    ) -> Self {
        let header = reader.header().clone();
        let options = narrowed(options, &header);
        let filters = Some(options.wanted.clone());
        let mut core = Core::of(&options, &header, ResolverCache::replayed(), filters, sink(&header));
        core.out().header();
        let end_ns = duration.map(|duration| after(header.start_ns, duration));
        Self { reader, core, header, end_ns }
    }

    /// The header of the capture.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The pipeline that takes the inputs.
    pub fn core(&mut self) -> &mut Core {
        &mut self.core
    }

    /// Replays the capture. `between` is called before each input, and may end the replay there.
    ///
    /// # Errors
    /// As [`replay`].
    pub fn run(
        mut self,
        output: &mut dyn io::Write,
        between: impl FnMut(&mut Core) -> ControlFlow<()>,
    ) -> io::Result<Replayed> {
        let mut tail = Tail::default();
        let outcome = self.take_all(&mut tail, output, between);
        let closed = matches!(&outcome, Err(error) if error.kind() == io::ErrorKind::BrokenPipe);
        let damage = match outcome {
            Err(error) if !closed => return Err(error),
            outcome => outcome.unwrap_or(None),
        };
        let Self { mut core, header, .. } = self;
        if damage.is_none() {
            core.forgo(tail.missing());
        }
        let ended = tail.ended();
        let summary = core.finish(header.start_ns, &ended);
        core.out().put(&Record::Summary(Box::new(summary.clone())));
        if !closed {
            match write(core.out(), output).and_then(|()| output.flush()) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
                _ => {}
            }
        }
        let subscribers = core.out().subscribers.accounts();
        Ok(Replayed { summary, detection: core.into_detection(), damage, header, closed, subscribers })
    }

    /// Takes all inputs, or those up to the end of the replay. Returns the damage that prevents reading all of them, if
    /// there is any.
    fn take_all(
        &mut self,
        tail: &mut Tail,
        output: &mut dyn io::Write,
        mut between: impl FnMut(&mut Core) -> ControlFlow<()>,
    ) -> io::Result<Option<Damage>> {
        let Self { reader, core, header, end_ns } = self;
        let damage = loop {
            if between(core).is_break() {
                break None;
            }
            let input = match reader.next_input() {
                Ok(Some(input)) => input,
                Ok(None) => break None,
                Err(damage) => break Some(damage),
            };
            let input = since(input, &header.before);
            let is_over = tail.note(&input, *end_ns);
            core.apply(input);
            if core.waiting_bytes() > MOST_WAITING {
                break Some(reader.senseless("it has more records than can wait for their turn"));
            }
            drain(core, output)?;
            if is_over || core.out().is_satisfied() {
                break None;
            }
        };
        core.apply(Input::Released(u64::MAX));
        drain(core, output)?;
        Ok(damage)
    }
}

/// Applies the filters of the recording, too: records that did not pass then do not pass now.
fn narrowed(mut options: Options, header: &Header) -> Options {
    let filter = &mut options.wanted.filter;
    for (asked, recorded) in [(&mut filter.netns, header.netns), (&mut filter.tgid, header.tgid)] {
        if *asked == 0 {
            *asked = recorded;
        }
    }
    options
}

/// Subtracts the counts of the earlier files, which a file continues.
fn since<'a>(input: Input<'a>, before: &Before) -> Input<'a> {
    match input {
        Input::Counted(counted) => Input::Counted(Box::new(before.counted.until(&counted))),
        Input::Checked(checked) => {
            let half_open = (
                checked.half_open.0.saturating_sub(before.half_open.0),
                checked.half_open.1.saturating_sub(before.half_open.1),
            );
            Input::Checked(Checked { lost: checked.lost.since(&before.lost), half_open, ..checked })
        }
        Input::Ended(ended) => {
            let submitted = ended.submitted.map(|all| all.saturating_sub(before.counted.counters.delivered));
            Input::Ended(Box::new(Ended {
                counted: before.counted.until(&ended.counted),
                submitted,
                missed_runs: ended.missed_runs.map(|all| all.saturating_sub(before.lost.missed_runs)),
                missed_signals: ended
                    .missed_signals
                    .saturating_add(before.counted.counters.signals_lost)
                    .saturating_sub(before.lost.others),
                half_open_missed: ended.half_open_missed.saturating_sub(before.half_open.1),
                ..*ended
            }))
        }
        input => input,
    }
}

fn after(start_ns: u64, duration: Duration) -> u64 {
    start_ns.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// Takes everything that was released out of the core, and writes the output whenever there is much of it.
fn drain(core: &mut Core, output: &mut dyn io::Write) -> io::Result<()> {
    loop {
        let comparing = core.is_comparing();
        core.fill_on();
        let is_full = core.out().is_full();
        if is_full {
            write(core.out(), output)?;
        }
        if !comparing && !is_full {
            return Ok(());
        }
    }
}

/// Writes the output so far.
fn write(out: &mut Outgoing, output: &mut dyn io::Write) -> io::Result<()> {
    let Chunk { bytes, failed, .. } = std::mem::take(&mut out.chunk);
    output.write_all(&bytes)?;
    out.chunk = Chunk::in_place_of(bytes);
    failed.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
