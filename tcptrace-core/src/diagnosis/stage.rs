//! The detectors as a stage of a trace. The stage feeds them during the trace, collects their findings after each scan of
//! the host, and reports when each finding begins, changes and ends.

use std::collections::HashMap;

use super::{
    detect::{Ages, Detectors, Options, Sample, Thresholds},
    report::Scans,
};
use crate::model::{
    finding::Finding,
    half_open::Change,
    record::{Found, Phase},
    transition::Transition,
};

/// The time for which one generation of detectors counts, nanoseconds. Among a whole day's successful connections, those
/// that fail now would be too small a share.
const GENERATION_NS: u64 = 300_000_000_000;

/// The time before the end of a generation at which the next one begins to count as well, nanoseconds: thresholds that need
/// a minute then have it.
const OVERLAP_NS: u64 = 60_000_000_000;

/// The number of scans in a row without a finding after which the finding has ended. A single scan may miss a fault between
/// two of its moments.
const ABSENT: u32 = 3;

/// The detectors of a trace, and what they have found so far.
pub struct Detection {
    options: Options,
    ages: Ages,
    current: Generation,
    next: Option<Generation>,
    scans: Scans,
    open: HashMap<String, Open>,
    /// From past generations: the kinds of findings of detectors whose tables were full, and how often.
    left_out: Vec<(&'static [&'static str], u64)>,
}

/// Detectors that count from one moment on.
struct Generation {
    detectors: Detectors,
    /// The time of their first scan, nanoseconds of `CLOCK_MONOTONIC`; `None` before it.
    since_ns: Option<u64>,
}

/// A finding that has begun and not ended.
struct Open {
    finding: Finding,
    /// The time for which its generation had counted when the finding began, nanoseconds, at most the lifetime of a
    /// generation. A younger generation may not find it yet.
    needed_ns: u64,
    /// Scans in a row that did not show it.
    absent: u32,
}

impl Generation {
    fn new(options: &Options) -> Self {
        Self { detectors: Detectors::new(options.clone()), since_ns: None }
    }

    /// Takes a scan, and returns for how long this generation has counted, nanoseconds.
    fn sample(&mut self, sample: &Sample) -> u64 {
        let since_ns = *self.since_ns.get_or_insert(sample.ktime_ns);
        self.detectors.sample(sample);
        sample.ktime_ns.saturating_sub(since_ns)
    }
}

impl Detection {
    /// Begins without findings.
    pub fn new(options: Options) -> Self {
        Self {
            ages: Ages::default(),
            current: Generation::new(&options),
            next: None,
            scans: Scans::default(),
            open: HashMap::new(),
            left_out: Vec::new(),
            options,
        }
    }

    /// Sets other thresholds for findings from now on. The detectors count anew. An open finding ends once they have counted
    /// for as long as it needed and no longer find it.
    pub fn set_thresholds(&mut self, thresholds: Thresholds) {
        self.options.thresholds = thresholds;
        add(&mut self.left_out, self.current.detectors.left_out());
        self.current = Generation::new(&self.options);
        self.next = None;
    }

    /// Takes a transition.
    pub fn transition(&mut self, transition: &Transition) {
        self.current.detectors.transition(transition);
        if let Some(next) = &mut self.next {
            next.detectors.transition(transition);
        }
    }

    /// Takes a change of a half-open connection.
    pub fn half_open(&mut self, change: &Change) {
        self.current.detectors.half_open(change);
        if let Some(next) = &mut self.next {
            next.detectors.half_open(change);
        }
    }

    /// Takes a scan of the host, or the reason why there is none. Returns the findings that begin or change, the worst
    /// first, and then those that end.
    pub fn scanned(&mut self, scan: Result<Sample, String>) -> Vec<Found> {
        let mut sample = match scan {
            Ok(sample) => sample,
            Err(why) => {
                self.scans.failed(&why);
                return Vec::new();
            }
        };
        self.scans.seen(sample.unseen.as_deref());
        self.ages.apply(&mut sample);
        let age_ns = self.current.sample(&sample);
        let found = self.compare(sample.ktime_ns, age_ns);
        self.turn(&sample, age_ns);
        found
    }

    /// The present findings, the worst first.
    pub fn findings(&self) -> Vec<Finding> {
        self.current.detectors.findings()
    }

    /// Detectors whose tables were full, by the kinds of their findings, and how often.
    pub fn left_out(&self) -> Vec<(&'static [&'static str], u64)> {
        let mut all = self.left_out.clone();
        add(&mut all, self.current.detectors.left_out());
        all
    }

    /// The scans of the host, with their gaps and failures.
    pub fn scans(&self) -> &Scans {
        &self.scans
    }

    /// Compares the present findings with the open ones.
    fn compare(&mut self, ktime_ns: u64, age_ns: u64) -> Vec<Found> {
        let mut all = Vec::new();
        let found = |phase, finding: &Finding| Found { ktime_ns, phase, finding: finding.clone() };
        self.open.values_mut().for_each(|open| open.absent += 1);
        for finding in self.current.detectors.findings() {
            let key = finding.key();
            match self.open.get_mut(&key) {
                None => {
                    all.push(found(Phase::Begun, &finding));
                    self.open.insert(key, Open { finding, needed_ns: age_ns.min(GENERATION_NS), absent: 0 });
                }
                Some(open) => {
                    if is_worse(&finding, &open.finding) {
                        all.push(found(Phase::Changed, &finding));
                        open.finding = finding;
                    }
                    open.absent = 0;
                }
            }
        }
        let has_ended = |open: &Open| open.absent >= ABSENT && age_ns >= open.needed_ns;
        let mut ended: Vec<_> = self.open.extract_if(|_, open| has_ended(open)).collect();
        ended.sort_by(|(one, _), (other, _)| one.cmp(other));
        all.extend(ended.iter().map(|(_, open)| found(Phase::Ended, &open.finding)));
        all
    }

    /// Begins the next generation, or lets it take over, when it is time.
    fn turn(&mut self, sample: &Sample, age_ns: u64) {
        if !self.options.forgets {
            return;
        }
        match &self.next {
            None if age_ns >= GENERATION_NS - OVERLAP_NS => {
                let mut next = Generation::new(&self.options);
                next.sample(sample);
                self.next = Some(next);
            }
            None => {}
            Some(_) => {
                if let Some(next) = self.next.take_if(|next| next.sample(sample) >= OVERLAP_NS) {
                    add(&mut self.left_out, self.current.detectors.left_out());
                    self.current = next;
                }
            }
        }
    }
}

/// Whether a finding has become worse, or has got its first known owner.
fn is_worse(now: &Finding, before: &Finding) -> bool {
    now.severity > before.severity || (before.owners.is_empty() && !now.owners.is_empty())
}

/// Adds counts of the same kinds.
fn add(all: &mut Vec<(&'static [&'static str], u64)>, more: Vec<(&'static [&'static str], u64)>) {
    for (ids, count) in more {
        match all.iter_mut().find(|(known, _)| *known == ids) {
            Some((_, sum)) => *sum = sum.saturating_add(count),
            None => all.push((ids, count)),
        }
    }
}
