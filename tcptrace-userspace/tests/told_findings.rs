//! Findings among transitions: told once, and again when what was wrong comes again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{
    looks::{ended, look},
    story::style,
};
use tcptrace::{
    commands::diagnose::tell_findings,
    diagnosis::detect::Options,
    model::{close::Cause, state::State, transition::Transition},
    output::{Format, Sink, sink},
    record::Record,
};

/// Every five seconds for ten minutes: as long as anything is remembered.
const LOOKS: u64 = 120;

fn refused() -> Record {
    ended(Cause::Refused, 1, 10, None)
}

fn connected() -> Record {
    let Record::Transition(refused) = refused() else { unreachable!("it ends a connection") };
    let mut connected = Transition { closing: None, ..refused };
    connected.event.new_state = State::ESTABLISHED;
    Record::Transition(connected)
}

struct Watch {
    sink: Box<dyn Sink>,
    looks: u64,
}

impl Watch {
    fn new() -> Self {
        Self { sink: tell_findings(sink(&style(Format::Text)), Options::default(), false, None), looks: 0 }
    }

    fn take(&mut self, record: &Record, times: u64) {
        (0..times).for_each(|_| self.sink.write(record, &mut Vec::new()).unwrap());
    }

    /// How often it is told that somebody is refused, during so many looks.
    fn told(&mut self, looks: u64) -> usize {
        let mut out = Vec::new();
        for _ in 0..looks {
            self.looks += 1;
            let sample = Record::Sample(Box::new(look(self.looks * 5, Vec::new())));
            self.sink.write(&sample, &mut out).unwrap();
        }
        String::from_utf8(out).unwrap().matches("connection-refused").count()
    }
}

#[test]
fn a_fault_that_comes_again_is_told_again() {
    let mut watch = Watch::new();
    watch.take(&refused(), 20);
    assert_eq!(watch.told(2), 1, "once");
    assert_eq!(watch.told(LOOKS), 0, "not again as long as it is remembered, nor when it is not");
    watch.take(&refused(), 20);
    assert_eq!(watch.told(1), 1, "it is another time");
}

#[test]
fn what_went_well_yesterday_does_not_hide_what_fails_now() {
    let mut watch = Watch::new();
    watch.take(&connected(), 10_000);
    watch.take(&refused(), 20);
    assert_eq!(watch.told(1), 0, "few of many");
    assert_eq!(watch.told(LOOKS), 0);
    watch.take(&refused(), 20);
    assert_eq!(watch.told(1), 1, "all of the last minutes");
}
