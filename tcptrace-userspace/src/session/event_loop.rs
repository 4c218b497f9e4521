//! The loop that keeps a trace going, and what ends it.

use std::{
    future::{pending, ready},
    io,
    os::fd::AsFd as _,
    time::Duration,
};

use tokio::{
    io::Interest,
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Error,
    reader::{Reader, Step},
};
use crate::{bpf, sys::signals::Ending};

/// Why the loop ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By signal, time or count, or since the writer ended.
    Asked,
    /// The reader of our output went away.
    OutputClosed,
}

/// What ends the loop, beside the trace itself.
pub(super) struct Asked<'a> {
    pub(super) signals: Ending,
    pub(super) duration: Option<Duration>,
    /// Nobody reads standard output any more.
    pub(super) ends_with_reader: bool,
    pub(super) stop: &'a Notify,
}

/// Drains on a timer, and earlier when the kernel side says that the ring fills up.
pub(super) async fn run(reader: &mut Reader, asked: Asked<'_>) -> Result<End, Error> {
    let Asked { mut signals, duration, ends_with_reader, stop } = asked;
    let ring = reader.wakeups().map_err(Error::Setup)?;
    // Not given means never.
    let end = sleep(duration.unwrap_or(Duration::MAX));
    let closed = output_closed();
    tokio::pin!(end, closed);
    let mut step = reader.check()?;
    let (mut polled, mut checked) = (Instant::now(), Instant::now());
    while step != Step::Stop {
        step = tokio::select! {
            () = signals.any() => return Ok(End::Asked),
            () = stop.notified() => return Ok(End::Asked),
            () = &mut end => return Ok(End::Asked),
            () = &mut closed, if ends_with_reader => return Ok(End::OutputClosed),
            () = sleep_until(checked + reader.check_every()) => {
                checked = Instant::now();
                reader.check()?
            }
            () = poll_at(polled, reader.until_next()) => reader.drain(),
            () = ready(()), if step == Step::More => reader.drain(),
            woken = ring.readable() => {
                woken.map_err(Error::Setup)?.clear_ready();
                reader.drain()
            }
        };
        polled = Instant::now();
    }
    Ok(End::Asked)
}

/// Until the time of the next scan at the ring, if there is one.
async fn poll_at(last: Instant, every: Option<Duration>) {
    match every {
        Some(every) => sleep_until(last + every).await,
        None => pending().await,
    }
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
    pending::<()>().await;
}
