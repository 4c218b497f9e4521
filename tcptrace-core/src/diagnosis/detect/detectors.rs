//! The set of detectors of a trace.

use std::collections::HashMap;

use super::{Detector, Expected, REGISTRY, Sample, Source, Thresholds, roots};
use crate::model::{finding::Finding, half_open::Change, links::Links, transition::Transition};

/// Options of the detectors.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The thresholds.
    pub thresholds: Thresholds,
    /// The only listeners that are expected; `None` when the user named none.
    pub expected: Option<Vec<Expected>>,
    /// The only ids of findings to report; all when empty.
    pub only: Vec<String>,
    /// Ids of findings not to report.
    pub skip: Vec<String>,
    /// The network namespace of the reader of the findings, by its inode; `None` when it is unknown.
    pub own_netns: Option<u32>,
    /// Whether only the sockets of one process are scanned: a missing socket may belong to another process.
    pub of_one_process: bool,
    /// Whether to count the last minutes only, and forget what was before: for a trace without an end.
    pub forgets: bool,
}

impl Options {
    /// Whether findings of this id pass the filters.
    pub fn wants(&self, id: &str) -> bool {
        (self.only.is_empty() || self.only.iter().any(|only| only == id))
            && !self.skip.iter().any(|skip| skip == id)
    }
}

/// The detectors whose findings pass the filters.
pub struct Detectors {
    options: Options,
    all: Vec<Box<dyn Detector>>,
    /// The kinds of findings of each detector.
    ids: Vec<&'static [&'static str]>,
    /// The detectors that take transitions, of which there are many; and those that take half-open connections.
    of_transitions: Vec<usize>,
    of_half_open: Vec<usize>,
    /// Names of namespaces, from the last scan.
    names: HashMap<u32, String>,
}

impl Detectors {
    /// The detectors that can make findings that pass the filters.
    pub fn new(options: Options) -> Self {
        let wanted = REGISTRY.iter().filter(|entry| entry.ids.iter().any(|id| options.wants(id)));
        let wanted: Vec<_> = wanted.collect();
        let resting_on = |source: Source| {
            let those = wanted.iter().enumerate().filter(|(_, entry)| entry.rests_on.contains(&source));
            those.map(|(index, _)| index).collect()
        };
        let (of_transitions, of_half_open) = (resting_on(Source::Transitions), resting_on(Source::HalfOpen));
        let all = wanted.iter().map(|entry| (entry.make)(&options)).collect();
        let ids = wanted.iter().map(|entry| entry.ids).collect();
        Self { options, all, ids, of_transitions, of_half_open, names: HashMap::new() }
    }

    /// Takes a transition.
    pub fn transition(&mut self, transition: &Transition) {
        self.of_transitions.iter().for_each(|index| self.all[*index].transition(transition));
    }

    /// Takes a change of a half-open connection.
    pub fn half_open(&mut self, change: &Change) {
        self.of_half_open.iter().for_each(|index| self.all[*index].half_open(change));
    }

    /// Takes a scan of the host; [`Ages`](super::Ages) have been applied to it.
    pub fn sample(&mut self, sample: &Sample) {
        let named = sample.namespaces.iter();
        self.names =
            named.filter_map(|(netns, namespace)| Some(((*netns)?, namespace.name.clone()?))).collect();
        self.all.iter_mut().for_each(|detector| detector.sample(sample));
    }

    /// Detectors whose tables were full, by the kinds of their findings, and how often.
    pub fn left_out(&self) -> Vec<(&'static [&'static str], u64)> {
        let counts = self.ids.iter().zip(&self.all).map(|(ids, detector)| (*ids, detector.left_out()));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// The present findings, the worst first. A finding contains those that it explains.
    pub fn findings(&self) -> Vec<Finding> {
        let all = self.all.iter().flat_map(|detector| detector.findings());
        let wanted = all.filter(|finding| self.options.wants(finding.id)).collect();
        let own = self.options.own_netns;
        let seen_from = |finding: Finding| {
            // Only findings of the same time are merged: a finding that is kept does not need the cookies of its sockets.
            let finding = Finding { links: Links::default(), ..finding };
            let name = finding.netns.and_then(|netns| self.names.get(&netns)).map(String::as_str);
            finding.seen_from(own, name)
        };
        let mut all: Vec<Finding> = roots::merge(wanted).into_iter().map(seen_from).collect();
        all.sort_by(|a, b| {
            b.severity
                .cmp(&a.severity)
                .then(a.id.cmp(b.id))
                .then(a.summary.cmp(&b.summary))
                .then(a.subject.cmp(&b.subject))
        });
        all
    }
}
