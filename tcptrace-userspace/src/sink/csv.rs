//! Comma-separated values: the fields of the JSON output, flattened, absent values empty.

use std::io::{self, Write as _};

use super::{Sink, put};
use crate::{
    clock::{Clock, TimeFormat},
    record::{Loss, Record, Transition},
    state::State,
};

const COLUMNS: [&str; 29] = [
    "type",
    "time",
    "ktime_ns",
    "cookie",
    "netns",
    "family",
    "laddr",
    "lport",
    "raddr",
    "rport",
    "old_state",
    "new_state",
    "duration_us",
    "owner_pid",
    "owner_comm",
    "owner_uid",
    "owner_provenance",
    "context_pid",
    "context_tid",
    "context_comm",
    "context_uid",
    "context_cgroup_id",
    "context_in_process",
    "close_error",
    "close_bytes_acked",
    "close_bytes_received",
    "close_srtt_us",
    "close_retransmits",
    "lost",
];

pub(super) struct Csv {
    time: TimeFormat,
}

impl Csv {
    pub(super) fn new(clock: Clock) -> Self {
        Self { time: TimeFormat::rfc3339(clock) }
    }
}

impl Sink for Csv {
    fn header(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        writeln!(out, "{}", COLUMNS.join(","))
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        match record {
            Record::Transition(transition) => {
                transition_row(out, self.time.format(transition.event.ktime_ns), transition);
            }
            Record::Loss(loss) => loss_row(out, self.time.format(loss.ktime_ns), loss),
            // The account does not fit into these columns; it goes to standard error.
            Record::Summary(_) => {}
        }
        Ok(())
    }
}

/// Appends a row for a transition; the fields follow `COLUMNS`.
fn transition_row(out: &mut Vec<u8>, time: &str, transition: &Transition) {
    let event = &transition.event;
    out.extend_from_slice(b"transition,");
    out.extend_from_slice(time.as_bytes());
    next(out, |out| put::number(out, event.ktime_ns));
    next(out, |out| put::number(out, event.cookie));
    next_number(out, event.netns);
    next(out, |out| put::number(out, event.family()));
    next(out, |out| put::address(out, event.laddr));
    next(out, |out| put::number(out, event.lport));
    next(out, |out| put::address(out, event.raddr));
    next(out, |out| put::number(out, event.rport));
    next(out, |out| put::state(out, event.old_state));
    next(out, |out| put::state(out, event.new_state));
    next_number(out, transition.in_old_state_ns.map(|ns| ns / 1_000));
    let owner = transition.owner.as_ref();
    next_number(out, owner.map(|owner| owner.pid));
    next(out, |out| owner.iter().for_each(|owner| name(out, &owner.comm)));
    next_number(out, owner.map(|owner| owner.uid));
    let provenance = owner.map_or("", |owner| owner.provenance.name());
    next(out, |out| out.extend_from_slice(provenance.as_bytes()));
    let context = &event.context;
    next_number(out, Some(context.pid));
    next_number(out, Some(context.tid));
    next(out, |out| name(out, &context.comm));
    next_number(out, Some(context.uid));
    next_number(out, Some(context.cgroup_id));
    next(out, |out| {
        out.extend_from_slice(match context.in_process {
            Some(true) => b"true",
            Some(false) => b"false",
            None => b"",
        });
    });
    next_number(out, event.error.filter(|_| event.new_state == State::CLOSE));
    let metrics = event.metrics;
    next_number(out, metrics.map(|metrics| metrics.bytes_acked));
    next_number(out, metrics.map(|metrics| metrics.bytes_received));
    next_number(out, metrics.map(|metrics| metrics.srtt_us).filter(|srtt_us| *srtt_us != 0));
    next_number(out, metrics.map(|metrics| metrics.retransmits));
    out.extend_from_slice(b",\n");
}

/// Appends a row for a loss: when, and in the last column how many.
fn loss_row(out: &mut Vec<u8>, time: &str, loss: &Loss) {
    out.extend_from_slice(b"loss,");
    out.extend_from_slice(time.as_bytes());
    next_number(out, Some(loss.ktime_ns));
    let filled = 3;
    out.resize(out.len() + COLUMNS.len() - 1 - filled, b',');
    next_number(out, Some(loss.lost.total()));
    out.push(b'\n');
}

fn next(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    out.push(b',');
    put(out);
}

fn next_number(out: &mut Vec<u8>, value: Option<impl itoa::Integer>) {
    next(out, |out| value.into_iter().for_each(|value| put::number(out, value)));
}

/// The one kind of field that may hold anything: quoted where RFC 4180, 2 asks for it.
fn name(out: &mut Vec<u8>, name: &[u8]) {
    let start = out.len();
    put::name(out, name);
    if out[start..].iter().any(|byte| matches!(byte, b',' | b'"')) {
        let text = String::from_utf8_lossy(&out[start..]).replace('"', "\"\"");
        out.truncate(start);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}
