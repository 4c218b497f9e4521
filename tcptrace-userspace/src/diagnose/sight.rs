//! How much of the host could be seen, and what may be said then.

use serde::Serialize;

use super::watch::Looks;
use crate::{
    bpf::HalfOpenHooks,
    capture::{Damage, Header},
    detect::{Finding, Severity},
    record::Summary,
};

/// How much could be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sight {
    /// What was hooked.
    pub hooks: Vec<String>,
    /// Transitions and records of half-open connections that were lost, or that the kernel did not run the program for.
    pub lost: u64,
    /// What could not be seen, in words.
    pub missing: Vec<String>,
}

impl Sight {
    pub(super) fn of(summary: &Summary, header: &Header, looks: &Looks, damage: Option<&Damage>) -> Self {
        let mut sight = Self::default();
        sight.hooks.push(format!("sock:inet_sock_set_state by {}", header.hook));
        match &header.half_open {
            Some(hooks) => sight.half_open(hooks),
            None if header.polled => sight.missing.push("SYNs, except by polls".to_owned()),
            None => sight.missing.push("half-open connections".to_owned()),
        }
        sight.lost = summary.lost.total();
        if let Some(half_open) = &summary.half_open {
            sight.lost += half_open.lost.total();
            sight
                .missing
                .extend(half_open.unpolled.iter().map(|why| format!("half-open connections of {why}")));
        }
        if summary.evicted > 0 {
            sight
                .missing
                .push(format!("{} sockets, forgotten for want of room (--max-connections)", summary.evicted));
        }
        if looks.count == 0 {
            sight.missing.push("the host's sockets".to_owned());
        }
        sight.missing.extend(looks.failed.iter().map(|why| format!("the host's sockets ({why})")));
        sight.missing.extend(looks.unseen.clone());
        sight.missing.extend(damage.map(|damage| format!("the rest of the capture ({damage})")));
        sight
    }

    fn half_open(&mut self, hooks: &HalfOpenHooks) {
        match &hooks.syns {
            Ok(syns) if syns.whole_host => self.hooks.push("SYNs by sock_ops".to_owned()),
            Ok(_) => self.missing.push("SYNs to other cgroups, except by polls".to_owned()),
            Err(why) => self.missing.push(format!("SYNs, except by polls ({why})")),
        }
        match &hooks.retransmits {
            Ok(()) => self.hooks.push("tcp:tcp_retransmit_synack".to_owned()),
            Err(why) => self.missing.push(format!("SYN-ACKs that are sent again ({why})")),
        }
    }

    /// Whether everything was seen.
    pub fn is_complete(&self) -> bool {
        self.lost == 0 && self.missing.is_empty()
    }
}

/// The outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing was found, and everything was seen.
    Healthy,
    /// Something was found.
    Findings,
    /// Nothing was found, but not everything was seen: that is no clean bill.
    Insufficient,
}

impl Verdict {
    /// Of these findings; those from `fail_on` on count.
    pub fn of(findings: &[Finding], fail_on: Severity, sight: &Sight) -> Self {
        if findings.iter().any(|finding| finding.severity >= fail_on) {
            Self::Findings
        } else if sight.is_complete() {
            Self::Healthy
        } else {
            Self::Insufficient
        }
    }

    /// As all outputs have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Findings => "findings",
            Self::Insufficient => "insufficient",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Confidence;

    #[test]
    fn no_clean_bill_on_incomplete_sight() {
        let finding =
            |severity| vec![Finding::new("close-wait-leak", severity, Confidence::HIGH, String::new())];
        let all = Sight::default();
        let lost = Sight { lost: 1, ..Sight::default() };
        let blind = Sight { missing: vec!["SYNs".to_owned()], ..Sight::default() };
        let verdict = |findings: &[Finding], sight| Verdict::of(findings, Severity::Warning, sight);
        assert_eq!(verdict(&[], &all), Verdict::Healthy);
        assert_eq!(verdict(&[], &lost), Verdict::Insufficient);
        assert_eq!(verdict(&finding(Severity::Info), &blind), Verdict::Insufficient);
        assert_eq!(verdict(&finding(Severity::Info), &all), Verdict::Healthy);
        assert_eq!(verdict(&finding(Severity::Critical), &lost), Verdict::Findings);
    }
}
