//! One JSON object per line, by the schema in `docs/output.schema.json`.

use std::io;

use super::fields::{
    object,
    tables::{clock_step, degraded, finding, half_open, loss, summary, transition},
    values::InJson,
};
use crate::{
    model::{
        clock::{Clock, TimeFormat},
        record::Record,
        transition::Transition,
    },
    pipeline::Sink,
};

pub(super) struct Json {
    time: TimeFormat,
    parts: transition::Parts,
}

impl Json {
    pub(super) fn new(clock: Clock) -> Self {
        Self { time: TimeFormat::rfc3339(clock), parts: transition::Parts::default() }
    }
}

impl Sink for Json {
    fn header(&mut self, _out: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
        let time = self.time.format(transition.event.ktime_ns);
        object(&transition::Line::of::<InJson>(&mut self.parts, time, transition), out);
        out.push(b'\n');
        Ok(())
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        let time = &mut self.time;
        match record {
            Record::Transition(transition) => return self.transition(transition, out),
            Record::HalfOpen(change) => {
                object(&half_open::Line { time: time.format(change.ktime_ns), change }, out);
            }
            Record::HalfOpenLoss(loss) => {
                object(&loss::HalfOpenLine { time: time.format(loss.ktime_ns), loss }, out);
            }
            Record::Finding(found) => {
                object(&finding::Line { time: time.format(found.ktime_ns), found }, out);
            }
            Record::Loss(loss) => object(&loss::Line { time: time.format(loss.ktime_ns), loss }, out),
            Record::Degraded(degraded) => {
                object(&degraded::Line { time: time.format(degraded.ktime_ns), degraded }, out);
            }
            Record::Stats(_) => return Ok(()),
            Record::Clock(change) => {
                time.set_clock(change.clock);
                if !change.is_step {
                    return Ok(());
                }
                object(&clock_step::Line { time: time.format(change.ktime_ns), change }, out);
            }
            Record::Summary(summary) => {
                object(&summary::Line::of(time.format(summary.ktime_ns), summary), out);
            }
        }
        out.push(b'\n');
        Ok(())
    }
}
