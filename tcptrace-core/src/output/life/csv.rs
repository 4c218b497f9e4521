//! Connections as comma-separated values, one column per figure and per state.

use std::io;

use crate::{
    model::{
        clock::{Clock, TimeFormat},
        record::Record,
        transition::Transition,
    },
    output::fields::{
        Columns, Fields, Layout, header, row,
        tables::{connection, degraded, loss},
    },
    pipeline::Sink,
};

/// The columns of connections.
struct Life;

impl Layout for Life {
    const BIRTH: u8 = 2;
    const COLUMNS: Columns = connection::Line::COLUMNS
        .and(&loss::Line::COLUMNS)
        .and(&degraded::Line::COLUMNS)
        .ordered(Self::BIRTH);
}

pub(in crate::output) struct Csv {
    time: TimeFormat,
}

impl Csv {
    pub(in crate::output) fn new(clock: Clock) -> Self {
        Self { time: TimeFormat::rfc3339(clock) }
    }
}

impl Sink for Csv {
    fn header(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        header(&Life, out);
        Ok(())
    }

    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
        if transition.ends_connection() {
            let time = self.time.format(transition.event.ktime_ns);
            row(&Life, &connection::Line::of(time, transition), out);
        }
        Ok(())
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        match record {
            Record::Transition(transition) => self.transition(transition, out)?,
            Record::Loss(loss) => {
                row(&Life, &loss::Line { time: self.time.format(loss.ktime_ns), loss }, out);
            }
            Record::Clock(change) => self.time.set_clock(change.clock),
            Record::Degraded(degraded) => {
                row(&Life, &degraded::Line { time: self.time.format(degraded.ktime_ns), degraded }, out);
            }
            // The account does not fit into these columns; it goes to standard error. Half-open connections are not
            // connections yet.
            Record::Summary(_)
            | Record::HalfOpen(_)
            | Record::HalfOpenLoss(_)
            | Record::Finding(_)
            | Record::Stats(_) => {}
        }
        Ok(())
    }
}
