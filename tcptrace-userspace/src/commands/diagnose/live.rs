//! `tcptrace trace --findings`: what the detectors find, told among the transitions.

use std::{
    collections::HashSet,
    io::{self, Write as _},
    time::Duration,
};

use super::watch::Watched;
use crate::{
    diagnosis::{
        detect::{Finding, Options},
        report::left_out,
    },
    model::transition::Transition,
    output::{Sink, findings::headline},
    record::{Found, Record},
};

/// From one look at the host to the next.
pub const PERIOD: Duration = Duration::from_secs(5);

/// After so many looks, the detectors give way to others that have watched as long as that: five minutes. Of a day's
/// connections that went well, those that fail now would be too small a share.
const GENERATION: u64 = 60;

/// Puts the detectors before a sink: each finding is told once, when a look at the host first shows it. `half_open`: the
/// sink is to have half-open connections as well, not only the detectors. `aside`: where findings are told instead, of which
/// the sink can make nothing.
pub fn tell_findings(
    sink: Box<dyn Sink>,
    options: Options,
    half_open: bool,
    aside: Option<Box<dyn io::Write>>,
) -> Box<dyn Sink> {
    let (watched, next) = (Watched::new(options.clone()), Watched::new(options.clone()));
    Box::new(Teller { options, watched, next, told: HashSet::new(), half_open, aside, sink })
}

struct Teller {
    options: Options,
    watched: Watched,
    /// Those that come after.
    next: Watched,
    /// What need not be told again, as long as it is found.
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

    /// Lets the next detectors take over, if it is time. What these do not find is news when it comes again.
    fn take_turns(&mut self) {
        if self.next.looks.count < GENERATION {
            return;
        }
        self.admit();
        let next = Watched::new(self.options.clone());
        self.watched = std::mem::replace(&mut self.next, next);
        let found: HashSet<_> = self.watched.detectors.findings().iter().map(Finding::key).collect();
        self.told.retain(|key| found.contains(key));
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
        self.next.detectors.transition(transition);
        self.sink.transition(transition, out)
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        let findings = self.watched.take(record).unwrap_or_default();
        self.next.note(record);
        if let Record::Sample(sample) = record {
            for finding in findings {
                if self.told.insert(finding.key()) {
                    self.tell(Found { ktime_ns: sample.ktime_ns, finding }, out)?;
                }
            }
            self.take_turns();
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
