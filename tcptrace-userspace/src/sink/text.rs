//! Columns for people: `text`, and `wide` with more of them.

use std::{
    fmt::{self, Display},
    io::{self, Write as _},
    net::IpAddr,
};

use anstyle::{AnsiColor, Style as Ansi};

use super::{Sink, Style, TimeColumn};
use crate::{
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
    wide: bool,
}

impl Text {
    pub(super) fn new(style: Style, wide: bool) -> Self {
        Self { style, wide }
    }

    fn time(&self, ktime_ns: u64) -> String {
        if self.style.time == TimeColumn::Relative {
            let since = ktime_ns.saturating_sub(self.style.start_ns);
            return format!("{}.{:06}", since / 1_000_000_000, since % 1_000_000_000 / 1_000);
        }
        let local = self.style.clock.time(ktime_ns).to_zoned(self.style.zone.clone());
        let (h, m, s) = (local.hour(), local.minute(), local.second());
        match self.style.time {
            TimeColumn::Seconds => format!("{h:02}:{m:02}:{s:02}"),
            _ => format!("{h:02}:{m:02}:{s:02}.{:03}", local.millisecond()),
        }
    }

    fn time_width(&self) -> usize {
        if self.style.time == TimeColumn::Seconds { 8 } else { 12 }
    }

    fn transition(&self, transition: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
        let event = &transition.event;
        let in_old_state = transition.in_old_state_ns.map_or_else(|| "-".to_owned(), |ns| Span(ns).to_string());
        let colour = if self.style.colour { colour(transition) } else { Ansi::new() };
        write!(
            out,
            "{:<width$} {:<OWNER$} {:<ADDRESS$} {:<ADDRESS$} {:>STATE$} -> {colour}{:<STATE$}{colour:#} \
             {in_old_state:>SPAN$}",
            self.time(event.ktime_ns),
            transition.owner.as_ref().map_or_else(|| "-".to_owned(), owner),
            endpoint(event.laddr, event.lport),
            endpoint(event.raddr, event.rport),
            event.old_state,
            event.new_state,
            width = self.time_width(),
        )?;
        if let Some(error) = event.error.filter(|error| *error != 0 && event.new_state == State::CLOSE) {
            write!(out, " {}", errno_name(error))?;
        }
        if self.wide {
            let context = &event.context;
            let held = match context.in_process {
                Some(true) => "process",
                Some(false) => "softirq",
                None => "unknown",
            };
            write!(
                out,
                " netns={} cookie={} context={}[{}/{}] uid={} {held} cgroup={}",
                event.netns.map_or_else(|| "-".to_owned(), |inode| inode.to_string()),
                event.cookie,
                Escaped(&context.comm),
                context.pid,
                context.tid,
                context.uid,
                context.cgroup_id,
            )?;
            if let Some(metrics) = event.metrics {
                write!(
                    out,
                    " acked={} received={} srtt={} retransmits={}",
                    metrics.bytes_acked,
                    metrics.bytes_received,
                    Span(u64::from(metrics.srtt_us) * 1_000),
                    metrics.retransmits,
                )?;
            }
        }
        while out.last() == Some(&b' ') {
            out.pop();
        }
        out.push(b'\n');
        Ok(())
    }

    fn loss(&self, loss: &Loss, out: &mut Vec<u8>) -> io::Result<()> {
        let colour = if self.style.colour { AnsiColor::Red.on_default().bold() } else { Ansi::new() };
        writeln!(
            out,
            "{:<width$} {colour}LOST {} transitions here (ring full {}, undecodable {}, missed runs {}; {} in \
             all){colour:#}",
            self.time(loss.ktime_ns),
            loss.lost.total(),
            loss.lost.ring_full,
            loss.lost.undecodable,
            loss.lost.missed_runs,
            loss.total,
            width = self.time_width(),
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

/// `nginx[812]`; `~nginx[812]` when inherited from the listener.
fn owner(owner: &Owner) -> String {
    let mark = match owner.provenance {
        Provenance::Exact => "",
        Provenance::Inherited => "~",
    };
    format!("{mark}{}[{}]", Escaped(&owner.comm), owner.pid)
}

/// `192.0.2.1:80`, `[2001:db8::1]:80`; a port that is not chosen yet is `*`, as in `ss`.
fn endpoint(address: IpAddr, port: u16) -> String {
    struct Host(IpAddr);
    impl Display for Host {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {
                IpAddr::V4(v4) => v4.fmt(f),
                IpAddr::V6(v6) => write!(f, "[{v6}]"),
            }
        }
    }
    match port {
        0 => format!("{}:*", Host(address)),
        port => format!("{}:{port}", Host(address)),
    }
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
