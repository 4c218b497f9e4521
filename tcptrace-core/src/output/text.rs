//! Columns for people, one line per transition: `text`, and `wide` with more of them.

use std::{
    io::{self, Write as _},
    sync::Arc,
};

use anstyle::{AnsiColor, Style as Ansi};

use super::{
    Style,
    cached::{Cache, Whose},
    clock,
    columns::{self, ADDRESS, OWNER, SPAN, STATE, Side, Time},
    degraded, findings, half_open, put, wide,
};
use crate::{
    model::{
        close::Cause,
        errno::Errno,
        owner::Owner,
        record::{Found, Loss, Record},
        state::State,
        transition::{Origin, Transition},
    },
    pipeline::Sink,
};

pub(super) struct Text {
    time: Time,
    colour: bool,
    wide: bool,
    whose: Cache<Whose, Vec<u8>>,
    owners: Cache<Arc<Owner>, Vec<u8>>,
}

impl Text {
    pub(super) fn new(style: &Style, wide: bool) -> Self {
        Self {
            time: Time::new(style),
            colour: style.colour,
            wide,
            whose: Cache::default(),
            owners: Cache::default(),
        }
    }

    fn owner(&mut self, out: &mut Vec<u8>, owner: Option<&Arc<Owner>>) {
        let Some(owner) = owner else { return columns::owner(out, None) };
        out.extend_from_slice(self.owners.text(owner, owner.number(), |text| {
            text.clear();
            columns::owner(text, Some(owner));
        }));
    }
}

impl Sink for Text {
    fn header(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.time.header(out);
        writeln!(
            out,
            "{:<OWNER$} {:<ADDRESS$} {:<ADDRESS$} {:>STATE$} -> {:<STATE$} {:>SPAN$}{}",
            "OWNER",
            "LOCAL",
            "REMOTE",
            "OLD",
            "NEW",
            "IN OLD",
            if self.wide { " DETAILS" } else { "" },
        )
    }

    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
        let event = &transition.event;
        self.time.put(event.ktime_ns, out)?;
        self.owner(out, transition.owner.as_ref());
        let whose = Whose::of(event);
        out.extend_from_slice(self.whose.text(&whose, whose.number(), |text| {
            text.clear();
            columns::local(text, event);
            columns::endpoint(text, event.flow.remote);
        }));
        columns::state(out, event.old_state, Side::Right);
        out.extend_from_slice(match transition.origin {
            Origin::Observed => b" -> ",
            Origin::Inferred => b" ~> ",
        });
        let colour = if self.colour { colour(transition) } else { Ansi::new() };
        put::colour(out, colour);
        columns::state(out, event.new_state, Side::Left);
        put::end_colour(out, colour);
        out.push(b' ');
        columns::span(out, transition.in_old_state_ns, transition.at_least_ns);
        if event.new_state == State::CLOSE {
            let cause = transition.closing.as_ref().and_then(|closing| closing.cause);
            let colour = if self.colour { colour_of_end(event.error, cause) } else { Ansi::new() };
            end(out, colour, event.error, cause);
        }
        if self.wide {
            wide::transition(out, transition)?;
        }
        out.push(b'\n');
        Ok(())
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        match record {
            Record::Transition(transition) => self.transition(transition, out),
            Record::HalfOpen(change) => {
                half_open::change(&mut self.time, change, (self.colour, self.wide), out)
            }
            Record::HalfOpenLoss(loss) => half_open::lost(&mut self.time, loss, self.colour, out),
            Record::Loss(loss) => lost(&mut self.time, loss, self.colour, out),
            Record::Degraded(it) => degraded::line(&mut self.time, it, self.colour, out),
            Record::Finding(found) => finding(&mut self.time, found, self.colour, out),
            Record::Clock(change) => clock::line(&mut self.time, change, self.colour, out),
            // People read the account on standard error, below the table.
            Record::Summary(_) | Record::Stats(_) => Ok(()),
        }
    }
}

/// Appends a line for a finding.
pub(super) fn finding(time: &mut Time, found: &Found, coloured: bool, out: &mut Vec<u8>) -> io::Result<()> {
    time.put(found.ktime_ns, out)?;
    writeln!(out, "{}", findings::moment(found, coloured))
}

/// Appends a line for a loss.
pub(super) fn lost(time: &mut Time, loss: &Loss, coloured: bool, out: &mut Vec<u8>) -> io::Result<()> {
    time.put(loss.ktime_ns, out)?;
    let colour = if coloured { AnsiColor::Red.on_default().bold() } else { Ansi::new() };
    let lost = loss.lost;
    write!(out, "{colour}LOST {} transitions", lost.transitions().saturating_add(lost.missed_runs))?;
    if lost.others > 0 {
        write!(out, " and {} signals", lost.others)?;
    }
    if lost.skipped_inputs > 0 {
        write!(out, " and {} inputs of a later version", lost.skipped_inputs)?;
    }
    writeln!(
        out,
        " here (ring full {}, output {}, undecodable {}, missed runs {}; {} in all){colour:#}",
        lost.ring_full, lost.output, lost.undecodable, lost.missed_runs, loss.total,
    )
}

/// Appends how a connection ended: the error, and the cause unless the error states the same.
pub(super) fn end(out: &mut Vec<u8>, colour: Ansi, error: Option<i32>, cause: Option<Cause>) {
    let error = error.filter(|error| *error != 0);
    let mut put = |words: &str| {
        out.push(b' ');
        put::colour(out, colour);
        out.extend_from_slice(words.as_bytes());
        put::end_colour(out, colour);
    };
    if let Some(error) = error {
        put(&Errno(error).to_string());
    }
    if let Some(cause) = cause.filter(|cause| error.is_none_or(|error| !cause.is_said_by(error))) {
        put(cause.text());
    }
}

/// Red for a failure.
pub(super) fn colour_of_end(error: Option<i32>, cause: Option<Cause>) -> Ansi {
    let failed = error.is_some_and(|error| error != 0) || cause.is_some_and(Cause::is_fault);
    if failed { AnsiColor::Red.on_default() } else { Ansi::new() }
}

/// The colour of a transition: some fail, some wait for a program, some serve.
fn colour(transition: &Transition) -> Ansi {
    match transition.event.new_state {
        State::CLOSE => {
            let cause = transition.closing.as_ref().and_then(|closing| closing.cause);
            colour_of_end(transition.event.error, cause)
        }
        State::CLOSE_WAIT => AnsiColor::Yellow.on_default(),
        State::ESTABLISHED => AnsiColor::Green.on_default(),
        State::LISTEN => AnsiColor::Cyan.on_default(),
        _ => Ansi::new(),
    }
}
