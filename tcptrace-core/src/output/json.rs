//! One JSON object a line, by the schema in `docs/output.schema.json`.

mod clock;
mod degraded;
mod half_open;
mod matrix;
pub(super) mod process;
pub(super) mod put;
mod summary;
pub(super) mod transition;

use std::io;

use serde::Serialize;

use super::{findings, schema::SCHEMA};
use crate::{
    model::{
        clock::{Clock, TimeFormat},
        loss::Lost,
        record::{HalfOpenLoss, Loss, Record},
        transition::Transition,
    },
    pipeline::Sink,
};

pub(super) struct Json {
    time: TimeFormat,
    transitions: transition::Transitions,
}

impl Json {
    pub(super) fn new(clock: Clock) -> Self {
        Self { time: TimeFormat::rfc3339(clock), transitions: transition::Transitions::default() }
    }
}

impl Sink for Json {
    fn header(&mut self, _out: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
        self.transitions.write(out, self.time.format(transition.event.ktime_ns), transition)?;
        out.push(b'\n');
        Ok(())
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        match record {
            Record::Transition(transition) => return self.transition(transition, out),
            Record::HalfOpen(change) => {
                half_open::write(out, self.time.format(change.ktime_ns), change)?;
            }
            Record::HalfOpenLoss(loss) => {
                let time = self.time.format(loss.ktime_ns);
                serde_json::to_writer(&mut *out, &half_open_loss_line(time, loss))?;
            }
            Record::Finding(found) => {
                let time = self.time.format(found.ktime_ns);
                serde_json::to_writer(&mut *out, &findings::line(time, found))?;
            }
            Record::Loss(loss) => {
                serde_json::to_writer(&mut *out, &loss_line(self.time.format(loss.ktime_ns), loss))?;
            }
            Record::Degraded(degraded) => {
                let time = self.time.format(degraded.ktime_ns);
                serde_json::to_writer(&mut *out, &degraded::line(time, degraded))?;
            }
            Record::Stats(_) => return Ok(()),
            Record::Clock(change) => {
                self.time.set_clock(change.clock);
                if !change.is_step {
                    return Ok(());
                }
                let time = self.time.format(change.ktime_ns);
                serde_json::to_writer(&mut *out, &clock::line(time, change))?;
            }
            Record::Summary(summary) => {
                serde_json::to_writer(
                    &mut *out,
                    &summary::line(self.time.format(summary.ktime_ns), summary),
                )?;
            }
        }
        out.push(b'\n');
        Ok(())
    }
}

#[derive(Serialize)]
struct LossLine<'a> {
    schema: u32,
    r#type: &'static str,
    time: &'a str,
    ktime_ns: u64,
    lost: Lost,
    total: u64,
}

fn loss_line<'a>(time: &'a str, loss: &Loss) -> LossLine<'a> {
    LossLine {
        schema: SCHEMA,
        r#type: "loss",
        time,
        ktime_ns: loss.ktime_ns,
        lost: loss.lost,
        total: loss.total.get(),
    }
}

#[derive(Serialize)]
struct HalfOpenLossLine<'a> {
    schema: u32,
    r#type: &'static str,
    time: &'a str,
    ktime_ns: u64,
    lost: crate::model::half_open::Lost,
    total: u64,
}

fn half_open_loss_line<'a>(time: &'a str, loss: &HalfOpenLoss) -> HalfOpenLossLine<'a> {
    let HalfOpenLoss { ktime_ns, lost, total } = *loss;
    HalfOpenLossLine { schema: SCHEMA, r#type: "half_open_loss", time, ktime_ns, lost, total }
}
