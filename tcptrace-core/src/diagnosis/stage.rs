//! The detectors as a stage of a trace: it feeds them as the trace goes on, asks them after each scan of the host, and gives
//! each finding a life: begun, changed, ended.

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

/// For so long one generation of detectors counts, nanoseconds. Of a day's connections that went well, those that fail now
/// would be too small a share.
const GENERATION_NS: u64 = 300_000_000_000;

/// So long before its end the next generation begins to count beside it: thresholds that need a minute have it then.
const OVERLAP_NS: u64 = 60_000_000_000;

/// A finding that so many scans in a row no longer show has ended. One scan may catch a fault between two of its moments.
const ABSENT: u32 = 3;

/// The detectors of a trace, and what they have found so far.
pub struct Detection {
    options: Options,
    ages: Ages,
    current: Generation,
    next: Option<Generation>,
    scans: Scans,
    open: HashMap<String, Open>,
    /// Of generations that are over: the kinds of detectors that had no room, and how often.
    left_out: Vec<(&'static [&'static str], u64)>,
}

/// Detectors that count since one moment.
struct Generation {
    detectors: Detectors,
    /// The first scan that they were shown, nanoseconds of `CLOCK_MONOTONIC`; `None` before it.
    since_ns: Option<u64>,
}

/// A finding that has begun and not ended.
struct Open {
    finding: Finding,
    /// How long its generation had counted when it was first found, nanoseconds, at most as long as each does. A younger one may
    /// not see it yet.
    needed_ns: u64,
    /// Scans in a row that did not show it.
    absent: u32,
}

impl Generation {
    fn new(options: &Options) -> Self {
        Self { detectors: Detectors::new(options.clone()), since_ns: None }
    }

    /// Takes a scan; how long this generation has counted by then, nanoseconds.
    fn sample(&mut self, sample: &Sample) -> u64 {
        let since_ns = *self.since_ns.get_or_insert(sample.ktime_ns);
        self.detectors.sample(sample);
        sample.ktime_ns.saturating_sub(since_ns)
    }
}

impl Detection {
    /// Nothing found yet.
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

    /// From now on, findings go by other thresholds. The detectors count anew; what is open ends once they have counted for as
    /// long as it needed and no longer find it.
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

    /// Takes what happened to a half-open connection.
    pub fn half_open(&mut self, change: &Change) {
        self.current.detectors.half_open(change);
        if let Some(next) = &mut self.next {
            next.detectors.half_open(change);
        }
    }

    /// Takes a scan of the host, or why there is none; what begins, changes and ends by it, the worst first.
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

    /// What there is now, the worst first.
    pub fn findings(&self) -> Vec<Finding> {
        self.current.detectors.findings()
    }

    /// Detectors that had no room, by the kinds of their findings, and how often.
    pub fn left_out(&self) -> Vec<(&'static [&'static str], u64)> {
        let mut all = self.left_out.clone();
        add(&mut all, self.current.detectors.left_out());
        all
    }

    /// How well the host could be scanned.
    pub fn scans(&self) -> &Scans {
        &self.scans
    }

    /// Compares what is found now with what was open.
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

    /// Begins the next generation, or lets it take over, where it is time.
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

/// Whether a finding says more than it did: it is worse, or somebody is known whose fault it is.
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
