//! Steps of the wall clock, as a line for people.

use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style as Ansi};

use super::columns::Time;
use crate::model::{clock_watch::ClockChange, text::Span};

/// Sets the new relation for later times, and appends a line where the clock was stepped.
pub(super) fn line(
    time: &mut Time,
    change: &ClockChange,
    coloured: bool,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    time.set_clock(change.clock);
    if !change.is_step {
        return Ok(());
    }
    time.put(change.ktime_ns, out)?;
    let colour = if coloured { AnsiColor::Yellow.on_default().bold() } else { Ansi::new() };
    let direction = if change.by_ns < 0 { "back" } else { "forward" };
    write!(out, "{colour}CLOCK stepped {direction} by {}", Span(change.by_ns.unsigned_abs()))?;
    if change.suspended_ns > 0 {
        write!(out, "; the host slept for {}", Span(change.suspended_ns))?;
    }
    writeln!(out, "{colour:#}")
}
