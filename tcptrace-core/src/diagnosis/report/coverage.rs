//! The coverage of the host.

use super::Scans;
use crate::{
    diagnosis::detect::Source,
    model::{header::Header, hooks::HalfOpenHooks, summary::Summary},
};

/// The coverage of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The hooks.
    pub hooks: Vec<String>,
    /// Transitions, signals and records of half-open connections that were lost or only counted, or for which the kernel did
    /// not run the program.
    pub lost: u64,
    /// The gaps, in words.
    pub gaps: Vec<String>,
    /// Possible gaps that this kernel does not count, in words. They do not change the verdict, which would be the same on
    /// each such host.
    pub unknown: Vec<String>,
    /// The gaps of each source, losses included.
    of_source: Vec<(Source, String)>,
}

impl Coverage {
    pub(crate) fn of(summary: &Summary, header: &Header, scans: &Scans, damage: Option<&str>) -> Self {
        let mut coverage = Self::default();
        coverage.hooks.push(format!("sock:inet_sock_set_state by {}", header.hook));
        match &header.half_open {
            Some(hooks) => coverage.half_open(hooks),
            None if header.polled => coverage.lacks(&[Source::HalfOpen], "SYNs, except by polls".to_owned()),
            None => coverage.lacks(&[Source::HalfOpen], "half-open connections".to_owned()),
        }
        let skipped = summary.lost.skipped_inputs;
        let lost = summary.lost.total().saturating_sub(skipped);
        coverage.loses(Source::Transitions, lost, "transitions and signals were lost");
        let sampled_out = summary.sampled_out();
        let counted = sampled_out.transitions.saturating_add(sampled_out.signals);
        coverage.loses(
            Source::Transitions,
            counted,
            "transitions and signals were only counted (--max-rate)",
        );
        coverage.loses(
            Source::HalfOpen,
            sampled_out.half_open,
            "records of half-open connections were only counted (--max-rate)",
        );
        if let Some(half_open) = &summary.half_open {
            coverage.loses(
                Source::HalfOpen,
                half_open.lost.total(),
                "records of half-open connections were lost",
            );
            if let Some(why) = &half_open.unpolled {
                coverage.lacks(&[Source::HalfOpen], format!("half-open connections of {why}"));
            }
        }
        if summary.evicted > 0 {
            let what = format!(
                "{} sockets, forgotten because the table was full (--max-connections)",
                summary.evicted
            );
            coverage.lacks(&[Source::Transitions], what);
        }
        let unseen_of_scans = scans.unseen.of(scans.count);
        if let Some(snapshot_gaps) = &summary.snapshot_gaps {
            // Mostly the same gaps as those of all scans.
            let is_same = unseen_of_scans.as_ref() == Some(snapshot_gaps);
            let what = format!("of the sockets that are older than the watch: {snapshot_gaps}");
            coverage.lacks(&[Source::Transitions], if is_same { snapshot_gaps.clone() } else { what });
        }
        let unseen = summary.reconciled.total();
        if unseen > 0 {
            let what = format!("transitions of {unseen} sockets, as lists of the kernel's show");
            coverage.lacks(&[Source::Transitions], what);
        }
        if !summary.missed_runs_known {
            coverage.unknown.push("how often this kernel skipped the program".to_owned());
        }
        if header.own_pids {
            let what = "what processes are, and which sockets they have open (a container's process ids are not the host's)";
            coverage.lacks(&[Source::Transitions, Source::Scans], what.to_owned());
        }
        let none = (scans.count == 0).then(|| "the host's sockets".to_owned());
        let failed = scans.failed.of(scans.count).map(|why| format!("the host's sockets ({why})"));
        for what in [none, failed, unseen_of_scans].into_iter().flatten() {
            coverage.lacks(&[Source::Scans], what);
        }
        let all = [Source::Transitions, Source::HalfOpen, Source::Scans];
        if skipped > 0 {
            let what = format!("{skipped} inputs of the capture, which a newer tcptrace recorded");
            coverage.lacks(&all, what);
        }
        if let Some(damage) = damage {
            coverage.lacks(&all, format!("the rest of the capture ({damage})"));
        }
        coverage
    }

    /// Adds the gap of detectors whose tables were full, and returns it in words.
    pub(crate) fn full_tables(&mut self, ids: &[&str], count: u64) -> String {
        let what = left_out(ids, count);
        self.gaps.push(what.clone());
        what
    }

    fn half_open(&mut self, hooks: &HalfOpenHooks) {
        let lacks = match &hooks.syns {
            Ok(syns) if syns.whole_host => None,
            Ok(_) => Some("SYNs to other cgroups, except by polls".to_owned()),
            Err(why) => Some(format!("SYNs, except by polls ({why})")),
        };
        match lacks {
            None => self.hooks.push("SYNs by sock_ops".to_owned()),
            Some(what) => self.lacks(&[Source::HalfOpen], what),
        }
        match &hooks.retransmits {
            Ok(()) => self.hooks.push("tcp:tcp_retransmit_synack".to_owned()),
            Err(why) => self.lacks(&[Source::HalfOpen], format!("SYN-ACKs that are sent again ({why})")),
        }
    }

    fn lacks(&mut self, sources: &[Source], what: String) {
        self.of_source.extend(sources.iter().map(|source| (*source, what.clone())));
        if !self.gaps.contains(&what) {
            self.gaps.push(what);
        }
    }

    fn loses(&mut self, source: Source, count: u64, what: &str) {
        if count > 0 {
            self.lost = self.lost.saturating_add(count);
            self.of_source.push((source, format!("{count} {what}")));
        }
    }

    /// The gaps of any of these sources.
    pub(crate) fn gaps_of(&self, sources: &[Source]) -> Vec<String> {
        let mut missing = Vec::new();
        for (_, what) in self.of_source.iter().filter(|(source, _)| sources.contains(source)) {
            if !missing.contains(what) {
                missing.push(what.clone());
            }
        }
        missing
    }

    /// Whether there are no losses and no gaps.
    pub fn is_complete(&self) -> bool {
        self.lost == 0 && self.gaps.is_empty()
    }
}

/// The gap of detectors of these kinds whose tables were full `count` times, in words.
pub fn left_out(ids: &[&str], count: u64) -> String {
    let times = if count == 1 { "time" } else { "times" };
    format!("some of what {} would distinguish (the tables were full {count} {times})", ids.join(", "))
}

#[cfg(test)]
mod tests;
