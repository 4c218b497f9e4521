//! The event loop of a live trace.

use std::time::{Duration, Instant};

use super::{
    Error,
    handle::Commands,
    reader::{Reader, Step},
};
use crate::sys::wait::{Wait, Woken};

/// Drains on a timer, and earlier when the kernel side reports that the ring fills up, until a command, the `duration`
/// or the trace itself ends it.
pub(super) fn run(reader: &mut Reader, commands: &Commands, duration: Option<Duration>) -> Result<(), Error> {
    let wait = Wait::new(reader.wakeups().map_err(Error::Setup)?, &commands.waker).map_err(Error::Setup)?;
    // An end that the clock cannot represent does not come.
    let end = duration.and_then(|duration| Instant::now().checked_add(duration));
    let mut step = reader.check()?;
    let (mut polled, mut checked) = (Instant::now(), Instant::now());
    loop {
        if step == Step::Stop || commands.carry_out(reader.core()).is_break() {
            return Ok(());
        }
        let now = Instant::now();
        let check = checked + reader.check_every();
        let poll = reader.until_next().map(|interval| polled + interval);
        if end.is_some_and(|end| now >= end) {
            return Ok(());
        }
        step = if now >= check {
            checked = now;
            reader.check()?
        } else if step == Step::More || poll.is_some_and(|poll| now >= poll) {
            reader.drain()
        } else {
            let next = [poll, end].into_iter().flatten().fold(check, Instant::min);
            match wait.wait(Some(next.saturating_duration_since(now))).map_err(Error::Setup)? {
                Woken::Readable => reader.drain(),
                Woken::Asked | Woken::TimedOut => continue,
            }
        };
        polled = Instant::now();
    }
}
