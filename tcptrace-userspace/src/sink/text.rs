//! Columns for people: `text`, and `wide` with more of them.

use std::{
    io::{self, Write as _},
    net::IpAddr,
};

use anstyle::{AnsiColor, Style as Ansi};

use super::{Sink, Style, TimeColumn, put};
use crate::{
    clock::TimeFormat,
    record::{Loss, Owner, Provenance, Record, Transition},
    state::State,
    text::{Escaped, Span, errno_name},
};

/// Widths: `255.255.255.255:65535`, and `ESTABLISHED`.
const ADDRESS: usize = 21;
const STATE: usize = 11;
const OWNER: usize = 24;
const SPAN: usize = 8;

pub(super) struct Text {
    style: Style,
    time: TimeFormat,
    wide: bool,
}

impl Text {
    pub(super) fn new(style: Style, wide: bool) -> Self {
        let time = TimeFormat::time_of_day(style.clock, style.zone.clone());
        Self { style, time, wide }
    }

    /// Appends the time column.
    fn time(&mut self, ktime_ns: u64, out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        if self.style.time == TimeColumn::Relative {
            let since = ktime_ns.saturating_sub(self.style.start_ns);
            write!(out, "{}.{:06}", since / 1_000_000_000, since % 1_000_000_000 / 1_000)?;
        } else {
            let shown = self.time.format(ktime_ns);
            let whole = if self.style.time == TimeColumn::Seconds { shown.split('.').next() } else { None };
            out.extend(whole.unwrap_or(shown).as_bytes());
        }
        column(out, start, self.time_width());
        Ok(())
    }

    fn time_width(&self) -> usize {
        if self.style.time == TimeColumn::Seconds { 8 } else { 12 }
    }

    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
        let event = &transition.event;
        self.time(event.ktime_ns, out)?;
        let start = out.len();
        owner(transition.owner.as_ref(), out);
        column(out, start, OWNER);
        for (address, port) in [(event.laddr, event.lport), (event.raddr, event.rport)] {
            let start = out.len();
            endpoint(address, port, out);
            column(out, start, ADDRESS);
        }
        let start = out.len();
        put::state(out, event.old_state);
        put::align_right(out, start, STATE);
        out.extend_from_slice(b" -> ");
        let colour = if self.style.colour { colour(transition) } else { Ansi::new() };
        write!(out, "{colour}")?;
        let start = out.len();
        put::state(out, event.new_state);
        put::pad(out, start, STATE);
        write!(out, "{colour:#}")?;
        out.push(b' ');
        let start = out.len();
        match transition.in_old_state_ns {
            Some(ns) => write!(out, "{}", Span(ns))?,
            None => out.push(b'-'),
        }
        put::align_right(out, start, SPAN);
        if let Some(error) = event.error.filter(|error| *error != 0 && event.new_state == State::CLOSE) {
            write!(out, " {}", errno_name(error))?;
        }
        if self.wide {
            details(transition, out)?;
        }
        out.push(b'\n');
        Ok(())
    }

    fn loss(&mut self, loss: &Loss, out: &mut Vec<u8>) -> io::Result<()> {
        self.time(loss.ktime_ns, out)?;
        let colour = if self.style.colour { AnsiColor::Red.on_default().bold() } else { Ansi::new() };
        writeln!(
            out,
            "{colour}LOST {} transitions here (ring full {}, undecodable {}, missed runs {}; {} in all){colour:#}",
            loss.lost.total(),
            loss.lost.ring_full,
            loss.lost.undecodable,
            loss.lost.missed_runs,
            loss.total,
        )
    }
}

impl Sink for Text {
    fn header(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let time = if self.style.time == TimeColumn::Relative { "TIME(s)" } else { "TIME" };
        writeln!(
            out,
            "{time:<width$} {:<OWNER$} {:<ADDRESS$} {:<ADDRESS$} {:>STATE$} -> {:<STATE$} {:>SPAN$}{}",
            "OWNER",
            "LOCAL",
            "REMOTE",
            "OLD",
            "NEW",
            "IN OLD",
            if self.wide { " DETAILS" } else { "" },
            width = self.time_width(),
        )
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        match record {
            Record::Transition(transition) => self.transition(transition, out),
            Record::Loss(loss) => self.loss(loss, out),
            // People read it on standard error, below the table.
            Record::Summary(_) => Ok(()),
        }
    }
}

/// Ends a column that began at `start`: its width, and one space.
fn column(out: &mut Vec<u8>, start: usize, width: usize) {
    put::pad(out, start, width);
    out.push(b' ');
}

/// `nginx[812]`; `~nginx[812]` when inherited from the listener; `-` when not known.
fn owner(owner: Option<&Owner>, out: &mut Vec<u8>) {
    let Some(owner) = owner else { return out.push(b'-') };
    if owner.provenance == Provenance::Inherited {
        out.push(b'~');
    }
    put::name(out, &owner.comm);
    out.push(b'[');
    put::number(out, owner.pid);
    out.push(b']');
}

/// `192.0.2.1:80`, `[2001:db8::1]:80`; a port that is not chosen yet is `*`, as in `ss`.
fn endpoint(address: IpAddr, port: u16, out: &mut Vec<u8>) {
    if address.is_ipv6() {
        out.push(b'[');
    }
    put::address(out, address);
    if address.is_ipv6() {
        out.push(b']');
    }
    out.push(b':');
    match port {
        0 => out.push(b'*'),
        port => put::number(out, port),
    }
}

/// What `wide` adds: `name=value`, so that it reads without a header.
fn details(transition: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
    let event = &transition.event;
    let context = &event.context;
    match event.netns {
        Some(inode) => write!(out, " netns={inode}")?,
        None => write!(out, " netns=-")?,
    }
    let held = match context.in_process {
        Some(true) => "process",
        Some(false) => "softirq",
        None => "unknown",
    };
    write!(
        out,
        " cookie={} context={}[{}/{}] uid={} {held} cgroup={}",
        event.cookie,
        Escaped(&context.comm),
        context.pid,
        context.tid,
        context.uid,
        context.cgroup_id,
    )?;
    if let Some(metrics) = event.metrics {
        write!(out, " acked={} received={} srtt=", metrics.bytes_acked, metrics.bytes_received)?;
        match metrics.srtt_us {
            0 => write!(out, "-")?,
            srtt_us => write!(out, "{}", Span(u64::from(srtt_us) * 1_000))?,
        }
        write!(out, " retransmits={}", metrics.retransmits)?;
    }
    Ok(())
}

/// What an eye should catch: what failed, what waits for a program, what serves.
fn colour(transition: &Transition) -> Ansi {
    let failed = transition.event.error.is_some_and(|error| error != 0);
    match transition.event.new_state {
        State::CLOSE if failed => AnsiColor::Red.on_default(),
        State::CLOSE_WAIT => AnsiColor::Yellow.on_default(),
        State::ESTABLISHED => AnsiColor::Green.on_default(),
        State::LISTEN => AnsiColor::Cyan.on_default(),
        _ => Ansi::new(),
    }
}
