//! Connections as JSON, one object per line.

use std::io;

use crate::{
    model::{
        clock::{Clock, TimeFormat},
        record::Record,
        transition::Transition,
    },
    output::{
        fields::{object, tables::connection},
        json,
    },
    pipeline::Sink,
};

pub(in crate::output) struct Json {
    time: TimeFormat,
    /// The sink for losses and for the account, which look the same as in a trace.
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
            let time = self.time.format(transition.event.ktime_ns);
            object(&connection::Line::of(time, transition), out);
            out.push(b'\n');
        }
        Ok(())
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        match record {
            Record::Transition(transition) => self.transition(transition, out),
            // A half-open connection is not a connection yet.
            Record::HalfOpen(_) | Record::HalfOpenLoss(_) | Record::Finding(_) | Record::Stats(_) => Ok(()),
            Record::Clock(change) => {
                self.time.set_clock(change.clock);
                self.others.write(record, out)
            }
            Record::Loss(_) | Record::Degraded(_) | Record::Summary(_) => self.others.write(record, out),
        }
    }
}
