//! Comma-separated values: the fields of the JSON output, flattened, absent values empty.

use std::io;

use super::fields::{
    Columns, Fields, Layout, header, row,
    tables::{degraded, half_open, loss, transition},
    values::InCsv,
};
use crate::{
    model::{
        clock::{Clock, TimeFormat},
        record::Record,
        transition::Transition,
    },
    pipeline::Sink,
};

/// The columns of a trace.
struct Trace;

impl Layout for Trace {
    const BIRTH: u8 = 0;
    const COLUMNS: Columns = transition::Line::COLUMNS
        .and(&half_open::Line::COLUMNS)
        .and(&loss::Line::COLUMNS)
        .and(&loss::HalfOpenLine::COLUMNS)
        .and(&degraded::Line::COLUMNS)
        .ordered(Self::BIRTH);
}

pub(super) struct Csv {
    time: TimeFormat,
    parts: transition::Parts,
}

impl Csv {
    pub(super) fn new(clock: Clock) -> Self {
        Self { time: TimeFormat::rfc3339(clock), parts: transition::Parts::default() }
    }
}

impl Sink for Csv {
    fn header(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        header(&Trace, out);
        Ok(())
    }

    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
        let time = self.time.format(transition.event.ktime_ns);
        row(&Trace, &transition::Line::of::<InCsv<Trace>>(&mut self.parts, time, transition), out);
        Ok(())
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        let time = &mut self.time;
        match record {
            Record::Transition(transition) => self.transition(transition, out)?,
            Record::HalfOpen(change) => {
                row(&Trace, &half_open::Line { time: time.format(change.ktime_ns), change }, out);
            }
            Record::Clock(change) => time.set_clock(change.clock),
            Record::Loss(loss) => row(&Trace, &loss::Line { time: time.format(loss.ktime_ns), loss }, out),
            Record::Degraded(degraded) => {
                row(&Trace, &degraded::Line { time: time.format(degraded.ktime_ns), degraded }, out);
            }
            Record::HalfOpenLoss(loss) => {
                row(&Trace, &loss::HalfOpenLine { time: time.format(loss.ktime_ns), loss }, out);
            }
            // The account and findings do not fit into these columns; they go to standard error.
            Record::Summary(_) | Record::Finding(_) | Record::Stats(_) => {}
        }
        Ok(())
    }
}
