//! The account of half-open connections, for people, below that of the transitions.

use std::fmt::Write as _;

use tcptrace_core::model::half_open::Summary;

use super::terms::{causes, sampled_out};

/// Appends the account to `text`.
pub(super) fn render(summary: &Summary, text: &mut String) {
    let counters = &summary.counters;
    if let Some(counts) = &summary.followed {
        let _ = writeln!(
            text,
            "Half-open: {} begun = {} completed + {} timed out + {} dropped + {} ended unseen + {} forgotten + {} \
             still open",
            counts.begun,
            counts.completed,
            counts.timed_out,
            counts.dropped,
            counts.unknown,
            counts.evicted,
            counts.open,
        );
    }
    let _ = write!(
        text,
        "{}{} SYNs + {} SYN-ACKs sent again seen = {} {} + {} filtered{} + {} lost",
        if summary.followed.is_some() { "           " } else { "Half-open: " },
        counters.syns,
        counters.retransmits,
        summary.delivered,
        if summary.followed.is_some() { "delivered" } else { "counted" },
        summary.filtered,
        sampled_out(counters.sampled_out),
        summary.lost.total() - summary.lost.missed_runs,
    );
    let lost = &summary.lost;
    causes(text, [lost.ring_full, lost.output, lost.undecodable], lost.missed_runs);
    text.push('\n');
    for namespace in summary.namespaces.iter().filter(|namespace| namespace.grown.is_any()) {
        text.push_str("Not seen by any event, in network namespace ");
        let _ = match namespace.netns {
            Some(inode) => write!(text, "{inode}:"),
            None => write!(text, "-:"),
        };
        for (name, value) in namespace.grown.values() {
            if let Some(value) = value.filter(|value| *value > 0) {
                let _ = write!(text, " {name} {value}");
            }
        }
        text.push('\n');
    }
    if let Some(unpolled) = &summary.unpolled {
        let _ = writeln!(text, "Not all half-open connections could be polled: {unpolled}");
    }
}

#[cfg(test)]
mod tests {
    use tcptrace_common::HalfOpenCounters;

    use super::*;
    use tcptrace_core::model::{
        half_open::{Counts, Lost},
        netstat::{NamespaceCounters, Netstat},
    };

    fn summary() -> Summary {
        Summary {
            followed: Some(Counts {
                begun: 21,
                retransmits: 9,
                completed: 6,
                timed_out: 5,
                dropped: 4,
                unknown: 3,
                evicted: 2,
                open: 1,
            }),
            counters: HalfOpenCounters { syns: 20, retransmits: 10, ..HalfOpenCounters::default() },
            delivered: 26,
            filtered: 1,
            lost: Lost { ring_full: 2, output: 1, undecodable: 0, missed_runs: 0 },
            namespaces: vec![
                NamespaceCounters {
                    netns: Some(4_026_532_177),
                    grown: Netstat::of("TcpExt: ListenDrops SyncookiesSent\nTcpExt: 7 0\n"),
                },
                NamespaceCounters { netns: None, grown: Netstat::default() },
            ],
            unpolled: Some("network namespace 5 (entering it (setns): Operation not permitted)".to_owned()),
        }
    }

    #[test]
    fn everything_is_told() {
        let mut text = String::new();
        render(&summary(), &mut text);
        insta::assert_snapshot!(text, @r"
        Half-open: 21 begun = 6 completed + 5 timed out + 4 dropped + 3 ended unseen + 2 forgotten + 1 still open
                   20 SYNs + 10 SYN-ACKs sent again seen = 26 delivered + 1 filtered + 3 lost (ring full 2, output 1)
        Not seen by any event, in network namespace 4026532177: ListenDrops 7
        Not all half-open connections could be polled: network namespace 5 (entering it (setns): Operation not permitted)
        ");
    }

    #[test]
    fn what_is_only_counted() {
        let mut text = String::new();
        let counted = Summary {
            followed: None,
            delivered: 30,
            filtered: 0,
            lost: Lost::default(),
            namespaces: Vec::new(),
            unpolled: None,
            ..summary()
        };
        render(&counted, &mut text);
        insta::assert_snapshot!(text, @"Half-open: 20 SYNs + 10 SYN-ACKs sent again seen = 30 counted + 0 filtered + 0 lost");
    }
}
