//! Connections in columns for people; `wide` adds the time in each state, and details that few readers need.

use std::{
    fmt::{self, Display},
    io::{self, Write as _},
};

use anstyle::Style as Ansi;

use crate::{
    model::{
        close::Role,
        payload::{Count, Payload},
        record::Record,
        text::{Bytes, Span},
        transition::Transition,
    },
    output::{
        Style, clock,
        columns::{self, ADDRESS, OWNER, SPAN, Time},
        degraded, put, text, wide,
    },
    pipeline::Sink,
};

/// Width of a role, of a number of bytes, of retransmits.
const ROLE: usize = 6;
const BYTES: usize = 6;
const RETRANSMITS: usize = 4;

pub(in crate::output) struct Text {
    time: Time,
    colour: bool,
    wide: bool,
}

impl Text {
    pub(in crate::output) fn new(style: &Style, wide: bool) -> Self {
        Self { time: Time::new(style), colour: style.colour, wide }
    }

    fn connection(&mut self, end: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
        let event = &end.event;
        let closing = end.closing.as_deref();
        self.time.put(event.ktime_ns, out)?;
        columns::owner(out, end.owner.as_deref());
        let start = out.len();
        let role = closing.and_then(|closing| closing.role);
        out.extend_from_slice(role.map_or("-", Role::name).as_bytes());
        columns::end(out, start, ROLE);
        columns::local(out, event);
        columns::endpoint(out, event.flow.remote);
        let (metrics, payload) = (event.metrics, Payload::of_end(end));
        right(out, BYTES, payload.map(|payload| Shown(payload.sent)))?;
        right(out, BYTES, payload.map(|payload| Shown(payload.received)))?;
        columns::span(out, closing.and_then(|closing| closing.life_ns), None);
        out.push(b' ');
        let srtt = metrics.filter(|metrics| metrics.srtt_us != 0);
        columns::span(out, srtt.map(|metrics| u64::from(metrics.srtt_us) * 1_000), None);
        out.push(b' ');
        right(out, RETRANSMITS, end.retransmits())?;
        self.cause(end, out);
        if self.wide {
            details(end, out)?;
        }
        out.push(b'\n');
        Ok(())
    }

    fn cause(&self, end: &Transition, out: &mut Vec<u8>) {
        let cause = end.closing.as_ref().and_then(|closing| closing.cause);
        let error = end.event.error.filter(|error| *error != 0);
        if error.is_none() && cause.is_none() {
            out.push(b'-');
            return;
        }
        let colour = if self.colour { text::colour_of_end(error, cause) } else { Ansi::new() };
        // The text of the end begins with the space that this column has already.
        out.pop();
        text::end(out, colour, error, cause);
    }
}

impl Sink for Text {
    fn header(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.time.header(out);
        writeln!(
            out,
            "{:<OWNER$} {:<ROLE$} {:<ADDRESS$} {:<ADDRESS$} {:>BYTES$} {:>BYTES$} {:>SPAN$} {:>SPAN$} \
             {:>RETRANSMITS$} CAUSE{}",
            "OWNER",
            "ROLE",
            "LOCAL",
            "REMOTE",
            "TX",
            "RX",
            "LIFE",
            "SRTT",
            "RETR",
            if self.wide { " DETAILS" } else { "" },
        )
    }

    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
        if transition.ends_connection() {
            self.connection(transition, out)?;
        }
        Ok(())
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        match record {
            Record::Transition(transition) => self.transition(transition, out),
            Record::Loss(loss) => text::lost(&mut self.time, loss, self.colour, out),
            Record::Clock(change) => clock::line(&mut self.time, change, self.colour, out),
            Record::Degraded(it) => degraded::line(&mut self.time, it, self.colour, out),
            // People read the account on standard error. Half-open connections are not connections yet.
            Record::Summary(_)
            | Record::HalfOpen(_)
            | Record::HalfOpenLoss(_)
            | Record::Finding(_)
            | Record::Stats(_) => Ok(()),
        }
    }
}

/// A number of bytes; `~` before a number that may include a SYN or a FIN.
struct Shown(Count);

impl Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.exact {
            f.write_str("~")?;
        }
        Bytes(self.0.bytes).fmt(f)
    }
}

/// Appends a column that is aligned at the right; `-` when the value is not known.
fn right(out: &mut Vec<u8>, width: usize, value: Option<impl Display>) -> io::Result<()> {
    let start = out.len();
    match value {
        Some(value) => write!(out, "{value}")?,
        None => out.push(b'-'),
    }
    put::align_right(out, start, width);
    out.push(b' ');
    Ok(())
}

fn details(end: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
    for (state, ns) in end.closing.iter().flat_map(|closing| &closing.states) {
        write!(out, " {state}={}", Span(*ns))?;
    }
    wide::netns(out, end.event.flow.netns)?;
    write!(out, " cookie={}", end.event.cookie)?;
    match &end.owner {
        Some(owner) => write!(out, " uid={}", owner.uid)?,
        None => write!(out, " uid=-")?,
    }
    if let Some(closing) = &end.closing {
        wide::reset(out, closing);
    }
    Ok(())
}
