//! A capture behind the interface of a live session.

use std::{
    io::{Read, Write},
    sync::Arc,
    thread,
};

use tcptrace_core::{
    capture::{self, Reader, Replayed},
    model::header::Header,
    pipeline::Sink,
};

use super::{
    Error, Outcome, Session, Settings,
    handle::{self, Commands},
    notice::Notice,
    plan::{Output, Parts, SessionThread},
    writer::Ending,
};

/// Starts a replay on a thread of its own.
pub(super) fn start(
    settings: Settings,
    reader: Reader<Box<dyn Read + Send>>,
    parts: Parts,
) -> Result<Session, Error> {
    let (handle, commands) = handle::handle(Arc::clone(&parts.is_stopping)).map_err(Error::Setup)?;
    let header = reader.header().clone();
    let replay = move || run(&settings, reader, parts, &commands);
    let thread = thread::Builder::new().name("replay".to_owned()).spawn(replay).map_err(Error::Setup)?;
    Ok(Session::new(header, handle, thread))
}

/// Replays a capture on this thread. `sink` makes the format, if there is one; `output` gets the bytes.
///
/// # Errors
/// The output cannot be written.
pub(crate) fn replay_here<R: Read>(
    settings: &Settings,
    reader: Reader<R>,
    sink: impl FnOnce(&Header) -> Option<Box<dyn Sink>>,
    output: &mut dyn Write,
) -> Result<Replayed, Error> {
    capture::replay(reader, settings.pipeline(), settings.duration, sink, output).map_err(Error::Output)
}

/// The notices of a replay.
pub(crate) fn replay_notices(settings: &Settings, replayed: &Replayed) -> Vec<Notice> {
    let lacks_half_open = settings.half_open.is_some() && !replayed.header.polled;
    let damage = replayed.damage.as_ref().map(|damage| Notice::Incomplete(damage.to_string()));
    lacks_half_open.then_some(Notice::NoHalfOpen).into_iter().chain(damage).collect()
}

fn run(
    settings: &Settings,
    reader: Reader<Box<dyn Read + Send>>,
    parts: Parts,
    commands: &Commands,
) -> Result<Outcome, Error> {
    let Parts { output, subscribers, notices, at_start, .. } = parts;
    at_start(SessionThread::Ring);
    let (format, mut to) = match output {
        Some(Output { format, to }) => (Some(format), to),
        None => (None, Output::nowhere()),
    };
    let sink = |header: &Header| format.map(|format| format(header));
    let mut replay = capture::Replay::new(reader, settings.pipeline(), settings.duration, sink);
    let core = replay.core();
    core.out().subscribers.add(commands.keeps_stats());
    for subscriber in subscribers {
        core.out().subscribers.add(subscriber);
    }
    let replayed = replay.run(&mut *to, |core| commands.carry_out(core)).map_err(Error::Output)?;
    for notice in replay_notices(settings, &replayed) {
        notices.give(notice);
    }
    Ok(Outcome {
        summary: replayed.summary,
        detection: replayed.detection,
        subscribers: replayed.subscribers,
        output: if replayed.closed { Ending::Closed } else { Ending::Complete },
        recording: Ok(()),
        damage: replayed.damage,
    })
}
