//! `tcptrace trace --findings`: what the detectors find, told among the transitions.

use std::{collections::HashSet, io, time::Duration};

use super::watch::Watched;
use crate::{
    detect::Options,
    record::{Found, Record, Transition},
    sink::Sink,
};

/// From one look at the host to the next.
pub const PERIOD: Duration = Duration::from_secs(5);

/// Puts the detectors before a sink: each finding is told once, when a look at the host first shows it. `half_open`: the
/// sink is to have half-open connections as well, not only the detectors.
pub fn tell_findings(sink: Box<dyn Sink>, options: Options, half_open: bool) -> Box<dyn Sink> {
    Box::new(Teller { watched: Watched::new(options), told: HashSet::new(), half_open, sink })
}

struct Teller {
    watched: Watched,
    told: HashSet<String>,
    half_open: bool,
    sink: Box<dyn Sink>,
}

impl Sink for Teller {
    fn header(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.sink.header(out)
    }

    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
        self.watched.detectors.transition(transition);
        self.sink.transition(transition, out)
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        let findings = self.watched.take(record).unwrap_or_default();
        if let Record::Sample(sample) = record {
            for finding in findings.into_iter().filter(|finding| self.told.insert(finding.key())) {
                let found = Found { ktime_ns: sample.ktime_ns, finding };
                self.sink.write(&Record::Finding(Box::new(found)), out)?;
            }
        }
        match record {
            Record::HalfOpen(_) if !self.half_open => Ok(()),
            record => self.sink.write(record, out),
        }
    }
}
