//! The detectors, whatever the order, the losses and the hostility of what they are shown.

use std::collections::{BTreeMap, HashSet};

use crate::common::shown::{Show as _, Shown};
use crate::watched::{Interval, LOW, detectors, found, hostile, intervals};
use proptest::prelude::*;
use tcptrace_core::{
    diagnosis::{
        detect::Ages,
        report::{Coverage, Report, Totals, Verdict},
    },
    model::{
        evidence::EvidenceValue,
        finding::{Finding, Severity},
        record::{Found, Phase},
    },
    output::findings::{Format, moment, one, render},
};

/// What is told of these, but for the connections that are named as examples.
fn told(mut findings: Vec<Finding>) -> Vec<(String, Finding)> {
    for finding in &mut findings {
        finding.samples.clear();
    }
    findings.into_iter().map(|finding| (finding.key(), finding)).collect()
}

/// Says which findings differ, rather than all that there are.
fn same<T: PartialEq + std::fmt::Debug>(some: &[T], others: &[T]) -> Result<(), TestCaseError> {
    let differ = some.iter().zip(others).find(|(one, other)| one != other);
    prop_assert!(differ.is_none() && some.len() == others.len(), "{:#?}", differ);
    Ok(())
}

fn one_line(finding: &Finding) -> String {
    moment(&Found { ktime_ns: 0, phase: Phase::Begun, finding: finding.clone() }, false)
}

fn in_a_row(intervals: &[Interval]) -> Vec<Shown> {
    intervals.iter().flat_map(Interval::in_a_row).collect()
}

fn report(findings: Vec<Finding>) -> Report {
    let coverage = Coverage::default();
    Report {
        host: "web-1".to_owned(),
        kernel: "6.12".to_owned(),
        started: jiff::Timestamp::UNIX_EPOCH,
        elapsed_ns: 1,
        filters: Vec::new(),
        verdict: Verdict::of(&findings, Severity::Warning, &coverage),
        findings,
        coverage,
        totals: Totals::default(),
    }
}

/// What only grows while transitions and half-open connections go by.
const COUNTS: [&str; 17] = [
    "ended",
    "by a reset",
    "of these sent by this host",
    "attempts",
    "refused",
    "connected",
    "failed listen()",
    "connect() without a port (EADDRNOTAVAIL)",
    "half-open at once",
    "begun",
    "completed",
    "given up by the kernel",
    "SYN-ACKs sent again",
    "different sources",
    "connect_timeout",
    "connect_cancelled",
    A_CAUSE,
];

/// One of the causes of resets, of which a finding tells the five greatest.
const A_CAUSE: &str = "reset_by_peer in ESTABLISHED";

/// Whether there may be more causes of resets than it tells.
fn is_cut(finding: &Finding) -> bool {
    let causes = finding.evidence.iter().filter(|evidence| evidence.name.contains(" in "));
    finding.id == "reset-storm" && causes.count() == 5
}

/// The sums of these over all findings of a kind.
fn counts(findings: &[Finding]) -> BTreeMap<(&'static str, &str), u64> {
    let mut sums = BTreeMap::new();
    for finding in findings {
        for evidence in finding.evidence.iter().filter(|evidence| COUNTS.contains(&evidence.name.as_str())) {
            let (EvidenceValue::Number(count) | EvidenceValue::AtLeast(count)) = evidence.value else {
                panic!("{evidence:?} is no count");
            };
            *sums.entry((finding.id, evidence.name.as_str())).or_default() += count;
        }
    }
    sums
}

proptest! {
    /// How connections interleave between two scans is chance, and so is the order in which the kernel lists sockets.
    #[test]
    fn the_order_of_connections_does_not_matter(
        intervals in intervals(),
        choices in prop::collection::vec(0_usize..64, 64),
        thresholds in 0_usize..3,
    ) {
        let mixed: Vec<Shown> = intervals.iter().flat_map(|interval| interval.interleaved(&choices)).collect();
        same(&told(found(thresholds, &mixed)), &told(found(thresholds, &in_a_row(&intervals))))?;
    }

    /// Nor does it how often one asks, or which run it is: down to the examples.
    #[test]
    fn asking_in_between_does_not_matter(
        intervals in intervals(),
        asked in prop::collection::vec(any::<bool>(), 200),
        thresholds in 0_usize..3,
    ) {
        let records = in_a_row(&intervals);
        let mut detectors = detectors(thresholds);
        for (record, asked) in records.iter().zip(asked.iter().cycle()) {
            if *asked {
                detectors.findings();
            }
            detectors.show(record);
        }
        same(&detectors.findings(), &found(thresholds, &records))?;
    }

    /// What is lost is not counted, and nothing else is counted for it. Shares do not count here, since a loss of what
    /// went well raises them; nor does what the last scan alone says.
    #[test]
    fn losses_add_nothing(
        intervals in intervals(),
        kept in prop::collection::vec(prop::bool::weighted(0.7), 200),
    ) {
        let records = in_a_row(&intervals);
        let lossy: Vec<Shown> = records
            .iter()
            .zip(kept.iter().cycle())
            .filter(|(shown, kept)| **kept || matches!(shown, Shown::Sample(_)))
            .map(|(shown, _)| shown.clone())
            .collect();
        let (some, all) = (found(LOW, &lossy), found(LOW, &records));
        let cut = all.iter().any(is_cut);
        let all = counts(&all);
        for (name, count) in counts(&some).into_iter().filter(|((_, name), _)| !cut || *name != A_CAUSE) {
            prop_assert!(all.get(&name).is_some_and(|all| *all >= count), "{:?}: {} of {:?}", name, count, all);
        }
    }

    /// Each is about something of its own, by which it is told once.
    #[test]
    fn no_two_findings_have_the_same_key(intervals in intervals(), thresholds in 0_usize..3) {
        let found = found(thresholds, &in_a_row(&intervals));
        let keys: HashSet<String> = found.iter().map(Finding::key).collect();
        prop_assert_eq!(keys.len(), found.len(), "{:?}", keys);
        prop_assert!(found.iter().all(|finding| !finding.subject.is_empty()));
        for finding in &found {
            let harm = finding.harm.as_ref().map(|harm| harm.count > 0 && !harm.whom.is_empty());
            let wanted = (finding.severity > Severity::Info).then_some(true);
            prop_assert_eq!(harm, wanted, "{:#?}", finding);
        }
    }

    /// What is damaged or forged neither ends the watch nor does harm where it is shown.
    #[test]
    fn hostility_does_no_harm(records in hostile::records(), thresholds in 0_usize..4) {
        let (mut detectors, mut ages) = (detectors(thresholds), Ages::default());
        for mut record in records {
            if let Shown::Sample(sample) = &mut record {
                ages.apply(sample);
            }
            detectors.show(&record);
            detectors.findings();
        }
        let findings = detectors.findings();
        let mut texts: Vec<String> = findings.iter().map(one_line).collect();
        texts.extend(findings.iter().map(one));
        let report = report(findings);
        texts.extend([Format::Text, Format::Json, Format::Markdown].map(|format| render(&report, format, false)));
        for text in texts {
            prop_assert!(!text.contains(|c: char| c != '\n' && c.is_control()), "{:?}", text);
        }
    }
}
