//! Records that are left out of the stream, as a line for people.

use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style as Ansi};

use super::columns::Time;
use crate::model::{loss::SampledOut, record::Degraded, state::State};

/// The number of transitions that are named, the most frequent ones.
const NAMED: usize = 3;

/// Appends the line.
pub(super) fn line(
    time: &mut Time,
    degraded: &Degraded,
    coloured: bool,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    time.put(degraded.ktime_ns, out)?;
    let colour = if coloured { AnsiColor::Yellow.on_default().bold() } else { Ansi::new() };
    write!(out, "{colour}")?;
    match degraded.level.one_in() {
        Some(1) => write!(out, "EVERYTHING is shown again")?,
        Some(one_in) => write!(out, "SAMPLING 1 socket in {one_in} from here")?,
        None => write!(out, "COUNTING only from here")?,
    }
    write!(out, "{colour:#}")?;
    counted(degraded, out)?;
    most(&degraded.seen, out)?;
    out.push(b'\n');
    Ok(())
}

/// Appends what was left out since the last line.
fn counted(degraded: &Degraded, out: &mut Vec<u8>) -> io::Result<()> {
    let SampledOut { transitions, signals, half_open } = degraded.sampled_out;
    let all = [(transitions, "transitions"), (signals, "signals"), (half_open, "half-open records")];
    for (index, (count, what)) in all.iter().filter(|(count, _)| *count > 0).enumerate() {
        write!(out, "{} {count} {what}", if index == 0 { ";" } else { "," })?;
    }
    if degraded.sampled_out.total() > 0 {
        write!(out, " only counted until here ({} in all)", degraded.total)?;
    }
    Ok(())
}

/// Appends the most frequent transitions, shown or not.
fn most(seen: &[(State, State, u64)], out: &mut Vec<u8>) -> io::Result<()> {
    let mut seen = seen.to_vec();
    seen.sort_by_key(|(old, new, count)| (std::cmp::Reverse(*count), *old, *new));
    for (index, (old, new, count)) in seen.iter().take(NAMED).enumerate() {
        write!(out, "{} {old} -> {new} {count}", if index == 0 { "; seen:" } else { "," })?;
    }
    Ok(())
}
