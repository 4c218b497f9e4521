//! Connections as JSON, one object a line.

use std::io;

use crate::{
    model::{
        clock::{Clock, TimeFormat},
        close::{Cause, Role},
        payload::Payload,
        record::Record,
        transition::Transition,
    },
    output::{
        json::{
            self,
            put::{figures, head, key, optional, optional_name, optional_word, quoted},
            transition::{ends, owner},
        },
        put,
    },
    pipeline::Sink,
};

pub(in crate::output) struct Json {
    time: TimeFormat,
    /// Losses and the account are told as in a trace.
    others: json::Json,
}

impl Json {
    pub(in crate::output) fn new(clock: Clock) -> Self {
        Self { time: TimeFormat::rfc3339(clock), others: json::Json::new(clock) }
    }
}

impl Sink for Json {
    fn header(&mut self, _out: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
        if transition.ends_connection() {
            connection(out, self.time.format(transition.event.ktime_ns), transition)?;
        }
        Ok(())
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        match record {
            Record::Transition(transition) => self.transition(transition, out),
            // A half-open connection is none yet.
            Record::HalfOpen(_) | Record::HalfOpenLoss(_) | Record::Finding(_) | Record::Stats(_) => Ok(()),
            Record::Clock(change) => {
                self.time.set_clock(change.clock);
                self.others.write(record, out)
            }
            Record::Loss(_) | Record::Degraded(_) | Record::Summary(_) => self.others.write(record, out),
        }
    }
}

/// Appends a line.
fn connection(out: &mut Vec<u8>, time: &str, end: &Transition) -> io::Result<()> {
    let event = &end.event;
    let closing = end.closing.as_deref();
    head(out, "connection", time, event.ktime_ns);
    ends(out, event)?;
    optional_word(out, "role", closing.and_then(|closing| closing.role).map(Role::name));
    owner(out, end.owner.as_deref())?;
    optional(out, "life_us", closing.and_then(|closing| closing.life_ns).map(|ns| ns / 1_000));
    key(out, "states_us");
    out.push(b'{');
    for (index, (state, ns)) in closing.iter().flat_map(|closing| &closing.states).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        quoted(out, |out| put::state(out, *state));
        out.push(b':');
        put::number(out, ns / 1_000);
    }
    out.push(b'}');
    key(out, "old_state");
    quoted(out, |out| put::state(out, event.old_state));
    optional_word(out, "cause", closing.and_then(|closing| closing.cause).map(Cause::name));
    optional(out, "error", event.error);
    let reset_reason = closing.and_then(|closing| closing.reset_reason.as_deref());
    optional_name(out, "reset_reason", reset_reason.map(str::as_bytes))?;
    figures(out, end);
    let payload = Payload::of_end(end);
    optional(out, "tx_bytes", payload.and_then(|payload| payload.sent.if_exact()));
    optional(out, "rx_bytes", payload.and_then(|payload| payload.received.if_exact()));
    out.extend_from_slice(b"}\n");
    Ok(())
}
