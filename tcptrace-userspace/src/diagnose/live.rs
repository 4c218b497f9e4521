//! `tcptrace trace --findings`: what the detectors find, told among the transitions.

use std::{
    collections::HashSet,
    io::{self, Write as _},
    time::Duration,
};

use super::watch::Watched;
use crate::{
    detect::Options,
    record::{Found, Record},
    report::left_out,
    sink::{Sink, findings::headline},
    transition::Transition,
};

/// From one look at the host to the next.
pub const PERIOD: Duration = Duration::from_secs(5);

/// Puts the detectors before a sink: each finding is told once, when a look at the host first shows it. `half_open`: the
/// sink is to have half-open connections as well, not only the detectors. `aside`: where findings are told instead, of which
/// the sink can make nothing.
pub fn tell_findings(
    sink: Box<dyn Sink>,
    options: Options,
    half_open: bool,
    aside: Option<Box<dyn io::Write>>,
) -> Box<dyn Sink> {
    Box::new(Teller { watched: Watched::new(options), told: HashSet::new(), half_open, aside, sink })
}

struct Teller {
    watched: Watched,
    told: HashSet<String>,
    half_open: bool,
    aside: Option<Box<dyn io::Write>>,
    sink: Box<dyn Sink>,
}

impl Teller {
    fn tell(&mut self, found: Found, out: &mut Vec<u8>) -> io::Result<()> {
        match &mut self.aside {
            Some(aside) => {
                // One that is closed does not stop the trace. A full pipe does until someone reads, and what the ring has
                // no room for meanwhile counts as lost.
                let _ = writeln!(aside, "tcptrace: {}", headline(&found.finding, false));
                Ok(())
            }
            None => self.sink.write(&Record::Finding(Box::new(found)), out),
        }
    }

    /// What was not told since there was no room to tell it apart.
    fn admit(&mut self) {
        for (ids, count) in self.watched.detectors.left_out() {
            let _ = writeln!(io::stderr(), "tcptrace: not seen: {}", left_out(ids, count));
        }
    }
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
            for finding in findings {
                if self.told.insert(finding.key()) {
                    self.tell(Found { ktime_ns: sample.ktime_ns, finding }, out)?;
                }
            }
        }
        if let Record::Summary(_) = record {
            self.admit();
        }
        match record {
            Record::HalfOpen(_) if !self.half_open => Ok(()),
            record => self.sink.write(record, out),
        }
    }
}
