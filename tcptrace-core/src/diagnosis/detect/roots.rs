//! Merges findings of one fault: a finding that another one explains becomes its consequence.
//!
//! A finding has keys of what it explains, such as the sockets that a program does not read, and keys of what it rests on,
//! such as the other ends of the sockets that wait. Where an earlier-ranked finding explains most of what another one rests
//! on, the earlier one is the root. A process that hangs is also one fault, on however many listeners it does not accept.

use crate::model::finding::{Consequence, Finding};
use std::cmp::Reverse;

/// Kinds of findings, roots before consequences. A kind that is missing here explains nothing.
const RANKS: [&str; 9] = [
    "syn-flood",
    "accept-queue-overflow",
    "nobody-accepts",
    "stalled",
    "close-wait-leak",
    "unexpected-listener",
    "connection-refused",
    "unreachable-destination",
    "reset-storm",
];

fn rank(id: &str) -> usize {
    RANKS.iter().position(|ranked| *ranked == id).unwrap_or(RANKS.len())
}

/// Moves consequences into their roots.
pub(super) fn merge(mut findings: Vec<Finding>) -> Vec<Finding> {
    // Among several findings of one process, the worst is the root.
    let harm = |finding: &Finding| finding.harm.as_ref().map_or(0, |harm| harm.count);
    findings.sort_by_cached_key(|finding| (rank(finding.id), Reverse(harm(finding)), finding.key()));
    let mut roots: Vec<Finding> = Vec::new();
    for finding in findings {
        let explains = |root: &&mut Finding| {
            finding.links.is_of_process_of(&root.links)
                || (rank(root.id) < rank(finding.id) && finding.links.is_explained_by(&root.links))
        };
        match roots.iter_mut().find(explains) {
            Some(root) => adopt(root, finding),
            None => roots.push(finding),
        }
    }
    roots
}

/// Adds a consequence. A root is as severe as its worst consequence.
fn adopt(root: &mut Finding, finding: Finding) {
    let Finding { id, subject, summary, harm, severity, links, .. } = finding;
    if severity > root.severity {
        root.severity = severity;
        root.harm = root.harm.take().or_else(|| harm.clone());
    }
    // The root also explains what its consequence explains.
    links.explains.iter().for_each(|cookie| root.links.explains(*cookie));
    root.consequences.push(Consequence { id, subject, summary, harm });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::{Confidence, Harm, Severity};

    fn finding(id: &'static str, explains: &[u64], rests_on: &[u64]) -> Finding {
        let mut finding = Finding::new(id, Confidence::HIGH, format!("{id} is wrong")).about(id);
        for cookie in explains {
            finding.links.explains(*cookie);
        }
        for cookie in rests_on {
            finding.links.rests_on(*cookie);
        }
        finding
    }

    fn ids(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|finding| finding.id).collect()
    }

    #[test]
    fn what_is_explained_is_inside_of_its_root() {
        let harm = Harm::new(3, "attempts without an answer", "client[7]");
        let unreachable =
            finding("unreachable-destination", &[], &[1]).harms(Severity::Critical, harm.clone());
        let overflow = finding("accept-queue-overflow", &[1, 2], &[]);
        let merged = merge(vec![unreachable, overflow]);
        assert_eq!(ids(&merged), ["accept-queue-overflow"]);
        assert_eq!((merged[0].severity, merged[0].harm.as_ref()), (Severity::Critical, Some(&harm)));
        assert_eq!(merged[0].consequences[0].id, "unreachable-destination");
    }

    #[test]
    fn others_stay() {
        let apart =
            [finding("accept-queue-overflow", &[1], &[]), finding("unreachable-destination", &[], &[2])];
        assert_eq!(merge(apart.to_vec()).len(), 2);
        let few = [finding("close-wait-leak", &[1], &[]), finding("fin-wait2-stuck", &[], &[1, 2, 3])];
        assert_eq!(merge(few.to_vec()).len(), 2, "most of it has another root");
        let later = [finding("reset-storm", &[1], &[]), finding("stalled", &[], &[1])];
        assert_eq!(merge(later.to_vec()).len(), 2, "what comes later explains nothing");
    }

    /// One of several workers at one address (`SO_REUSEPORT`) is enough to turn a client away.
    #[test]
    fn one_listener_of_several_explains_what_fails_there() {
        let mut unreachable = finding("unreachable-destination", &[], &[]);
        for cookie in 1..=4 {
            unreachable.links.rests_on_any(cookie);
        }
        assert_eq!(merge(vec![unreachable.clone(), finding("accept-queue-overflow", &[4], &[])]).len(), 1);
        assert_eq!(merge(vec![unreachable, finding("accept-queue-overflow", &[5], &[])]).len(), 2);
    }

    #[test]
    fn a_process_that_hangs_is_one_trouble() {
        let of = |subject: &str, count, pid| {
            let mut finding = finding("nobody-accepts", &[], &[]).about(subject);
            finding.links.hangs(pid);
            finding.harms(Severity::Warning, Harm::new(count, "clients wait", "clients"))
        };
        let merged =
            merge(vec![of("port 80", 3, Some(7)), of("port 81", 9, Some(7)), of("port 82", 1, Some(8))]);
        let subjects: Vec<&str> = merged.iter().map(|finding| finding.subject.as_str()).collect();
        assert_eq!(subjects, ["port 81", "port 82"], "the worst is the root");
        assert_eq!(merged[0].consequences[0].subject, "port 80");
        assert_eq!(merge(vec![of("port 80", 3, None), of("port 81", 9, None)]).len(), 2, "nobody is known");
    }

    #[test]
    fn a_chain_has_one_root() {
        let chain = [
            finding("unreachable-destination", &[], &[2]),
            finding("nobody-accepts", &[2], &[1]),
            finding("accept-queue-overflow", &[1], &[]),
        ];
        let merged = merge(chain.to_vec());
        assert_eq!(ids(&merged), ["accept-queue-overflow"]);
        assert_eq!(merged[0].consequences.len(), 2);
    }
}
