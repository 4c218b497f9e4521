//! Half-open connections for people, in the columns of transitions.

use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style as Ansi};

use super::{
    columns::{self, SPAN, STATE, Time},
    put, wide,
};
use crate::model::{
    half_open::{Change, End, Source, What},
    record::HalfOpenLoss,
    state::State,
    text::Span,
};

/// Appends a line for a change. The name of its state is longer than all others, so the columns around it give up a space.
pub(super) fn change(
    time: &mut Time,
    change: &Change,
    (coloured, details): (bool, bool),
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let connection = &change.connection;
    time.put(change.ktime_ns, out)?;
    columns::owner(out, change.owner.as_deref());
    columns::endpoint(out, connection.flow.local);
    columns::endpoint(out, connection.flow.remote);
    let (old, new) = change.what.states();
    let wider = usize::from(old == State::NEW_SYN_RECV && out.ends_with(b"  "));
    out.truncate(out.len() - wider);
    let start = out.len();
    put::state(out, old);
    put::align_right(out, start, STATE + wider);
    out.extend_from_slice(b" -> ");
    let colour = if coloured { colour(change.what) } else { Ansi::new() };
    write!(out, "{colour}")?;
    let start = out.len();
    put::state(out, new);
    put::pad(out, start, STATE);
    let wider = out.len() - start - STATE;
    write!(out, "{colour:#} ")?;
    let start = out.len();
    match change.age_ns {
        Some(ns) => write!(out, "{}", Span(ns))?,
        None => out.push(b'-'),
    }
    put::align_right(out, start, SPAN - wider);
    write!(out, " {}", word(change.what))?;
    match change.retransmits {
        0 => {}
        1 => write!(out, ", 1 retransmit")?,
        count => write!(out, ", {count} retransmits")?,
    }
    write!(out, ", {} here", change.open)?;
    if details {
        wide::netns(out, connection.flow.netns)?;
        write!(out, " cookie={}", connection.cookie)?;
    }
    out.push(b'\n');
    Ok(())
}

fn word(what: What) -> &'static str {
    match what {
        What::Begin(Source::Poll) => "found by a poll",
        What::Begin(Source::Syn | Source::Retransmit) => "half-open",
        What::Retransmit => "SYN-ACK again",
        What::End(End::Completed) => "completed",
        What::End(End::TimedOut) => "timed out",
        What::End(End::Dropped) => "dropped",
        What::End(End::Unknown) => "ended unseen",
    }
}

/// Appends a line for a loss.
pub(super) fn lost(
    time: &mut Time,
    loss: &HalfOpenLoss,
    coloured: bool,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    time.put(loss.ktime_ns, out)?;
    let colour = if coloured { AnsiColor::Red.on_default().bold() } else { Ansi::new() };
    let lost = &loss.lost;
    writeln!(
        out,
        "{colour}LOST {} records of half-open connections here (ring full {}, undecodable {}, missed runs {}; {} in \
         all){colour:#}",
        lost.total(),
        lost.ring_full,
        lost.undecodable,
        lost.missed_runs,
        loss.total,
    )
}

/// The colour of a change: peers that do not answer stand out.
fn colour(what: What) -> Ansi {
    match what {
        What::Retransmit => AnsiColor::Yellow.on_default(),
        What::End(End::TimedOut | End::Dropped) => AnsiColor::Red.on_default(),
        _ => Ansi::new(),
    }
}
